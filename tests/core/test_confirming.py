"""The promise of `service.core.confirming`: a confirmation goes to the provider of its message."""

from dataclasses import dataclass, field

from service.core.confirming import ConfirmationHandler
from service.core.outbox import ILLEGIBLE, Delivered, OutboxEntry


@dataclass
class Provider:
    """A sender with its own prefix of message ids, which records what it confirmed."""

    beginning: str
    confirmed: list[str] = field(default_factory=list)

    def is_sid(self, text: str) -> bool:
        return text.startswith(self.beginning)

    async def confirm(self, sid: str) -> None:
        self.confirmed.append(sid)


def entry(sid: str) -> OutboxEntry:
    """Create a leased entry of the outbox."""
    return OutboxEntry(partition="b", key=sid, due_ms=2, tries=0, since_ms=1, particulars=f"ve_b{'0' * 31}|1|US|sms")


async def test_a_confirmation_goes_to_the_provider_of_its_message() -> None:
    """Of two providers only the one that issued the message id gets the report; an unknown id goes to none."""
    first, second = Provider("SM"), Provider("b7-")
    handler = ConfirmationHandler([first, second])
    assert isinstance(await handler.deliver(entry("b7-1")), Delivered)
    assert await handler.deliver(entry("XX1")) is ILLEGIBLE
    assert (first.confirmed, second.confirmed) == ([], ["b7-1"])
