"""The rules: what may be sent, what a check decides, and which confirmations are due.

Nothing here knows FastAPI, Redis, a provider or the environment. Each rule says what it needs from outside in a
Protocol beside it. Time comes from the store (Redis TIME), randomness from the operating system.
"""
