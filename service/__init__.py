"""otp-service: one-time codes over Twilio that tell Twilio which messages arrived.

The tour. A login back end posts to `api.verifications`; `core.issuing` draws a code, has the store
write its digest, and sends it through `adapters.twilio_gateway`. The Message SID comes home with
Twilio's answer, or with the signed callback in `api.webhooks`. The person types the code;
`core.verifying` hands its digest to one script, `store/lua/check.lua`, which counts, compares,
consumes once and writes the entry. `core.confirming` is the worker that pays it: `Outcome=confirmed`
for exactly that SID.

- `core` holds the rules and knows nothing of the world; `core.verification` has the words; what a rule needs
  from outside stands beside it as a Protocol; `core.numbers` is the operator's hand on one number.
- `adapters` is the world: Redis (`multiplexer`, `redis_store`, `lua/`), Twilio, the embedded server.
- `api` is the endpoints: HTTP in and out, no rules.
- `app` and `parts` join all of it; `first_message` follows one real message for an operator; `serving` runs them in
  one process or several, and ends them; `cli` has the commands; `config` reads the settings and says what they come
  to for each part; `logs` writes the log.
- `sandbox` is a simulator for Twilio and a stranger to the rest; `demo` shows the loop with it.
"""
