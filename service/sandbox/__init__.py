"""A simulator of Twilio's Messages API that covers Message Feedback: send, deliver, report back, and fail on request.

Twilio's own test credentials respond to feedback with 403 and send no callbacks, so they cannot prove that the loop
closes. This package implements Twilio's REST API, stores every message with its ProvideFeedback flag and outcome so
that tests can read it, sends signed status callbacks, lets people reply, call and be called, and simulates planned
faults. It imports only the HTTP server from the rest of `service`: shared code about Twilio could hide an error.

    sandbox = create_sandbox(SandboxSettings())       # an ASGI application: serve it alone, or mount it under a prefix
    sandbox.ledger.messages(to="+15558675310")        # recorded messages, read in the same process
    sandbox.faults.plan(FaultPlan(endpoint="feedback", kind="500", count=3))
    await sandbox.aclose()                            # only if mounted: its own server closes it

Serve it with `http_server.Server(sandbox, protocol=DroppingProtocol)`: only then can `hang`, `reset` and
`lost_response` close a connection without sending a byte; under any other protocol the client sees an incomplete 200.
Addresses: Twilio's under `/2010-04-01/`, the test interface under `/_/` (see `inspection`), the virtual phone at
`/phone`.

The demo also uses its helpers for pages and streams (`page_routes`, `end_at_shutdown`), and its style sheet.

Not simulated: lists of calls and the redirection of one in progress, the verbs Dial, Play, Record and others, voices,
detection of answering machines, speech recognition, status callbacks of inbound calls, Verify, Lookup, messages to the
account by WhatsApp, templates by SMS, other channels, media, fallback URLs, keywords that are changed in the Console,
the verb Redirect in response to a message, scheduling, cancelling, redacting and deleting, the effects of
ContentRetention and AddressRetention (recorded only), prices, rates and queues, expiry of ValidityPeriod, SMS Pumping
Protection, sub-accounts, restricted API keys, numbers that Twilio would normalise (`(555) 867-5310`), senders that a
country rejects, certificate checks on webhooks, the callback status `sending`, and RFC 9457 error bodies.
"""

from service.sandbox.addresses import channel_of, number_of
from service.sandbox.app import Sandbox, create_sandbox
from service.sandbox.connection import DroppingProtocol, end_at_shutdown
from service.sandbox.faults import FaultPlan
from service.sandbox.ledger import Ledger
from service.sandbox.phone import page_routes
from service.sandbox.records import Call, CallbackPost, FeedbackPost, Message, SimulatedFault
from service.sandbox.settings import SandboxSettings

__all__ = [
    "Call",
    "CallbackPost",
    "DroppingProtocol",
    "FaultPlan",
    "FeedbackPost",
    "Ledger",
    "Message",
    "Sandbox",
    "SandboxSettings",
    "SimulatedFault",
    "channel_of",
    "create_sandbox",
    "end_at_shutdown",
    "number_of",
    "page_routes",
]
