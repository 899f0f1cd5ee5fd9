"""What a caller asks for when it asks for a new verification; `issuing` carries it out."""

import json
from collections.abc import Callable
from typing import NamedTuple

from service.core.channels import DEFAULT_CHANNEL, Channel, Step
from service.core.payment import Payment
from service.core.phone import PhoneNumber
from service.core.verification import VerificationRequest


class IssueRequest(NamedTuple):
    """A request for a new verification, already of the right form: what it keeps, whom to send to, and who asks."""

    number: PhoneNumber
    request: VerificationRequest
    channel: Channel = DEFAULT_CHANNEL
    wait_seconds: int = 0  # before the first of these follows
    further: tuple[Step, ...] = ()  # channels that follow when a message fails or nothing is heard of it
    client_ip: str | None = None
    caller: str | None = None  # tells API keys apart, for their limit
    owner: str | None = None  # only API keys of this owner will find the verification
    payment: Payment | None = None  # that the secret approves

    def only(self, reaches: Callable[[Channel], bool]) -> "IssueRequest":
        """Leave channels out of the list that do not reach the number; if none does, the first one stays."""
        steps = [Step(self.channel, self.wait_seconds), *self.further]
        first, *further = [step for step in steps if reaches(step.channel)] or steps[:1]
        return self._replace(channel=first.channel, wait_seconds=first.wait_seconds, further=tuple(further))

    @property
    def content(self) -> bytes:
        """What is asked for, in one spelling however it was written: two requests with the same content are one."""
        asked: dict[str, object] = {"number": self.number.e164, "channel": self.channel, "client_ip": self.client_ip}
        if self.further:
            asked["channels"] = [self.wait_seconds, *self.further[:-1], self.further[-1].channel]
        asked |= self.request._asdict() | {"payment": self.payment}
        asked["link_return"] = None if self.request.link_return is None else str(self.request.link_return)  # 0 counts
        return json.dumps({name: value for name, value in asked.items() if value}, sort_keys=True).encode()
