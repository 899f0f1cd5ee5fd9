"""A simulator for Twilio's Messages API that covers Message Feedback: send, deliver, report back, and fail on request.

Twilio's own test credentials answer feedback with 403 and send no callbacks, so nothing there can prove that the loop
closes. This package speaks Twilio's REST on the wire, keeps every message with its ProvideFeedback flag and outcome for
tests to read, sends signed status callbacks, and plays the faults that tests plan. Of the rest of
`service` it imports the HTTP server alone, which knows nothing of either side: a misunderstanding shared by both would
hide a fault.

    sandbox = create_sandbox(SandboxSettings())       # an ASGI application: serve it alone, or mount it under a prefix
    sandbox.ledger.messages(to="+15558675310")        # what was recorded, read in the same process
    sandbox.faults.plan(FaultPlan(endpoint="feedback", kind="500", count=3))
    await sandbox.aclose()                            # a parent that mounts it closes it; served alone it closes itself

Serve it with `http_server.Server(sandbox, protocol=DroppingProtocol)`: only then can `hang`, `reset` and `lost_answer`
end a connection without a byte; under any other protocol the client sees a broken 200 instead. Addresses: Twilio's
under `/2010-04-01/`, the test interface under `/_/` (see `inspection`), the virtual phone at `/phone`.

The demo borrows its ways with pages and streams (`page_routes`, `end_at_shutdown`) and its style sheet.

What it does not imitate: calls (their faults can be planned, but there is no such endpoint yet), Verify, Lookup,
WhatsApp and other channels, media, inbound messages and STOP, scheduling, cancelling, redacting and deleting,
ContentRetention's and AddressRetention's effects (recorded only), prices, rates and queues, ValidityPeriod running out,
SMS Pumping Protection, sub-accounts, restricted API keys, numbers that Twilio would tidy up (`(555) 867-5310`), senders
that a country does not take, public certificates on callbacks, callback status `sending` and `read`, and RFC 9457 error
bodies.
"""

from service.sandbox.app import Sandbox, create_sandbox
from service.sandbox.connection import DroppingProtocol, end_at_shutdown
from service.sandbox.faults import FaultPlan
from service.sandbox.inspection import message_row
from service.sandbox.ledger import CallbackPost, FeedbackPost, Ledger, Message
from service.sandbox.phone import page_routes
from service.sandbox.settings import SandboxSettings

__all__ = [
    "CallbackPost",
    "DroppingProtocol",
    "FaultPlan",
    "FeedbackPost",
    "Ledger",
    "Message",
    "Sandbox",
    "SandboxSettings",
    "create_sandbox",
    "end_at_shutdown",
    "message_row",
    "page_routes",
]
