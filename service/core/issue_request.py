"""What a caller asks for when it asks for a new verification; `issuing` carries it out."""

import json
from typing import NamedTuple

from service.core.channels import DEFAULT_CHANNEL, Channel
from service.core.payment import Payment
from service.core.phone import PhoneNumber
from service.core.verification import VerificationRequest


class IssueRequest(NamedTuple):
    """A request for a new verification, already of the right form: what it keeps, whom to send to, and who asks."""

    number: PhoneNumber
    request: VerificationRequest
    channel: Channel = DEFAULT_CHANNEL
    client_ip: str | None = None
    caller: str | None = None  # tells API keys apart, for their limit
    owner: str | None = None  # only API keys of this owner will find the verification
    payment: Payment | None = None  # that the secret approves

    @property
    def content(self) -> bytes:
        """What is asked for, in one spelling however it was written: two requests with the same content are one."""
        asked = {"number": self.number.e164, "channel": self.channel, "client_ip": self.client_ip}
        asked |= self.request._asdict() | {"payment": self.payment}
        asked["link_return"] = None if self.request.link_return is None else str(self.request.link_return)  # 0 counts
        return json.dumps({name: value for name, value in asked.items() if value}, sort_keys=True).encode()
