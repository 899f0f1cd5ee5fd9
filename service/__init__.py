"""otp-service: sends one-time codes through Twilio, and tells Twilio which messages arrived.

A tour, in the order of a verification; paths are relative to this package.

1. A login back end posts to an endpoint in `api/v1/verifications.py`. `core/issuing.py` draws a code, stores its digest
   through `store/verifications.py`, and sends the message through `providers/twilio/`.
2. Twilio's response contains the SID of the message. If it is lost, the signed status callback brings it
   (`api/twilio/status_callbacks.py`).
3. The person types the code. `core/checking.py` passes its digest to `store/lua/check.lua`. In one atomic step, this
   script counts the attempt, compares the digest, adds a confirmation to the outbox and consumes the code.
4. A worker (`core/outbox/`) claims the confirmation, and `core/confirming.py` posts `Outcome=confirmed` to Twilio for
   exactly that SID.

The packages, from the rules outwards:

- `core/` has the rules. It imports no framework, no Redis and no Twilio. Start with `core/verification.py`.
- `store/` is the schema in Redis, with one Lua script for each atomic step. `redis_client/` is the client below it.
- `providers/` has one package for each provider of messages. `embedded/` runs Valkey on one machine.
- `http_server/` is the HTTP/1.1 server, `http/` routes, authentication and problems, `api/` the endpoints.
- `config/` reads the settings, `logs/` writes the event log.
- `app.py` builds everything, `serving/` runs it in one process or several, `cli/` has the commands.
- `sandbox/` is a simulator of Twilio, `demo/` shows the whole loop with it, and `first_message/` tests it with Twilio.
"""
