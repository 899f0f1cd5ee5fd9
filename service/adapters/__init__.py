"""The world: Redis, Twilio, the embedded server. Adapters translate and decide nothing.

- What is kept: `redis_store` and `redis_record` (verifications), `redis_owed` (confirmations), `redis_ledgers` (limits,
  Idempotency-Keys, API keys, counters), `redis_keys` (every key's name), `scripts` and `lua/` (every atomic step).
- The way to Redis: `multiplexer` over `lane` (a node) over `wire` (a connection) with `resp` (its language); `dial`,
  `sentinel` and `cluster` find the node.
- The way to Twilio: `twilio_gateway` over `twilio_transport`, with `twilio_errors` (the one table) and
  `twilio_signature` (callbacks).
- One machine: `embedded` and its `embedded_keeper`.
"""
