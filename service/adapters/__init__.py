"""The world: Redis, Twilio, the embedded server. Adapters translate and decide nothing."""
