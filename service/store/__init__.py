"""The Redis schema: keys, records, the outbox, limits, and the Lua scripts that change them."""
