"""The rules: what may be sent, what a check comes to, what Twilio is pending.

Nothing here knows FastAPI, Redis, Twilio or the environment; the outside world enters through the
Protocols of `ports`. Time comes from the store (Redis TIME), randomness from the operating system.
"""
