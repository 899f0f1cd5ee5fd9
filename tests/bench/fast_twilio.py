"""A very cheap Twilio: the two endpoints that the service calls, on a raw protocol, never the bottleneck.

    python fast_twilio.py PORT

Every message gets its own SID and the response that Twilio documents; feedback is counted by SID. `GET /codes` is the
phone: a stream with a line `number code` for each message, written before the response to the message. `GET /totals`
returns the counters. It validates nothing and keeps everything while it runs; `service/sandbox` is the simulator that
validates.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from email.utils import formatdate

import uvloop

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
_TO = re.compile(rb"(?:^|&)To=%2B([0-9]+)")
_CODE = re.compile(rb"\+code\+is\+([0-9]{4,8})")
_SID = re.compile(rb"/Messages/(SM[0-9a-f]{32})/Feedback\.json")
_ACCOUNT, _VERSION = "AC" + "5a" * 16, "2010-04-01"
_URI = f"/{_VERSION}/Accounts/{_ACCOUNT}/Messages/%SID%"
# Written once: only the SID and the number of a response change.
_MESSAGE = json.dumps({
    "account_sid": _ACCOUNT, "api_version": _VERSION, "body": "Your Acme code is 000000. Do not share it.",
    "date_created": formatdate(), "date_sent": None, "date_updated": formatdate(), "direction": "outbound-api",
    "error_code": None, "error_message": None, "from": "+15005550006", "messaging_service_sid": None, "num_media": "0",
    "num_segments": "1", "price": None, "price_unit": "USD", "sid": "%SID%", "status": "queued",
    "subresource_uris": {"media": f"{_URI}/Media.json", "feedback": f"{_URI}/Feedback.json"},
    "to": "+%TO%", "uri": f"{_URI}.json",
}).encode()  # fmt: skip
_FEEDBACK = json.dumps({
    "account_sid": _ACCOUNT, "date_created": formatdate(), "date_updated": formatdate(), "message_sid": "%SID%",
    "outcome": "confirmed", "uri": f"{_URI}/Feedback.json",
}).encode()  # fmt: skip


class Twilio:
    """The messages and feedback so far, and the streams that receive codes."""

    def __init__(self):
        self.messages = 0
        self.confirmed = Counter()
        self.phones = []

    def answer(self, path, body):
        """Return the status line and the body of the response to one request."""
        if path.endswith(b"/Messages.json"):
            return b"201 Created", self._message(body)
        if found := _SID.search(path):
            self.confirmed[found[1]] += 1
            return b"201 Created", _FEEDBACK.replace(b"%SID%", found[1])
        if path == b"/totals":
            posts = self.confirmed.total()
            return b"200 OK", json.dumps([self.messages, posts, len(self.confirmed)]).encode()
        return b"404 Not Found", b"{}"

    def _message(self, body):
        self.messages += 1
        sid, to, code = b"SM%032x" % self.messages, _TO.search(body), _CODE.search(body)
        if self.phones and to and code:
            for phone in self.phones:
                phone.write(b"%b %b\n" % (to[1], code[1]))
        return _MESSAGE.replace(b"%SID%", sid).replace(b"%TO%", to[1] if to else b"")


class Connection(asyncio.Protocol):
    """Responds to the requests of one connection in order."""

    def __init__(self, twilio):
        self._twilio = twilio
        self._received = b""

    def connection_made(self, transport):
        self._transport = transport

    def connection_lost(self, _failure):
        if self._transport in self._twilio.phones:
            self._twilio.phones.remove(self._transport)

    def data_received(self, data):
        self._received += data
        while (head_end := self._received.find(_HEAD_END)) >= 0:
            head = self._received[:head_end]
            length = _LENGTH.search(head)
            end = head_end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < end:
                return
            body, self._received = self._received[head_end + 4 : end], self._received[end:]
            self._answer(head.split(b" ", 2)[1], body)

    def _answer(self, path, body):
        if path == b"/codes":
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
            self._twilio.phones.append(self._transport)
            return
        status, content = self._twilio.answer(path, body)
        self._transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (status, len(content), content)
        )


async def main():
    """Serve until the process is ended."""
    twilio = Twilio()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(twilio), "127.0.0.1", int(sys.argv[1]), backlog=512
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
