"""What the simulated account owns: numbers, Messaging Services and templates, and where inbound messages and calls go.

The account owns the number that a Messaging Service picks, every number that a message was sent from, and those that
the REST API adds; likewise the Messaging Services. A number is in the sender pool of at most one service: the last that
picked it or that it was added to. As at Twilio, the service then decides where the number's messages go.
"""

import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from service.sandbox.opt_outs import OptOuts
from service.sandbox.settings import SandboxSettings
from service.sandbox.templates import Templates

_MOST = 1_000  # numbers, and services; the oldest is removed first


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class OwnNumber:
    """A number of the account. An empty URL means that nothing is called."""

    number: str
    sms_url: str
    voice_url: str
    sms_method: str = "POST"
    voice_method: str = "POST"
    service_sid: str | None = None  # whose sender pool it is in
    sid: str = field(default_factory=lambda: f"PN{uuid.uuid4().hex}")
    created_at: datetime = field(default_factory=_now)
    updated_at: datetime = field(default_factory=_now)


@dataclass(frozen=True, kw_only=True)
class MessagingService:
    """A Messaging Service. Without a URL it drops inbound messages, unless it leaves them to the number's."""

    inbound_request_url: str
    friendly_name: str = "Simulated"
    inbound_method: str = "POST"
    use_inbound_webhook_on_number: bool = False
    sid: str = field(default_factory=lambda: f"MG{uuid.uuid4().hex}")
    created_at: datetime = field(default_factory=_now)
    updated_at: datetime = field(default_factory=_now)


class Route(NamedTuple):
    """Where an inbound message goes; nowhere if `url` is empty."""

    url: str
    method: str
    service_sid: str | None


class Account:
    """The account of one sandbox."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._numbers: dict[str, OwnNumber] = {}  # by number
        self._services: dict[str, MessagingService] = {}  # by SID
        self.opt_outs = OptOuts()
        self.templates = Templates(settings)
        self.add_number(settings.pool_number)

    def numbers(self) -> list[OwnNumber]:
        """Return the numbers, oldest first."""
        return list(self._numbers.values())

    def number(self, number_or_sid: str) -> OwnNumber | None:
        """Find a number by itself or by its SID."""
        found = (each for each in self._numbers.values() if number_or_sid in (each.number, each.sid))
        return next(found, None)

    def services(self) -> list[MessagingService]:
        """Return the Messaging Services, oldest first."""
        return list(self._services.values())

    def service(self, sid: str) -> MessagingService | None:
        """Find a Messaging Service."""
        return self._services.get(sid)

    def add_number(self, number: str, **options: Any) -> OwnNumber:
        """Add a number with the URLs of the settings, unless the account has it; then change the given options."""
        known = self._numbers.get(number) or OwnNumber(
            number=number, sms_url=self._settings.message_url, voice_url=self._settings.voice_url
        )
        if options:
            known = replace(known, **options, updated_at=_now())
        _put(self._numbers, number, known)
        return known

    def add_service(self, sid: str | None = None, **options: Any) -> MessagingService:
        """Add a Messaging Service like a number."""
        known = self._services.get(sid or "") or MessagingService(inbound_request_url=self._settings.message_url)
        known = replace(known, sid=sid or known.sid)
        if options:
            known = replace(known, **options, updated_at=_now())
        _put(self._services, known.sid, known)
        return known

    def note_sender(self, sender: str | None, service_sid: str | None) -> None:
        """Own what a message is sent from. Alphanumeric senders are not owned: they receive nothing."""
        if service_sid:
            self.add_service(service_sid)
        if sender and sender.removeprefix("+").isdigit():
            self.add_number(sender, **({"service_sid": service_sid} if service_sid else {}))
        elif service_sid and not sender:
            self.add_number(self._settings.pool_number, service_sid=service_sid)

    def message_route(self, number: OwnNumber) -> Route:
        """Say where a message to this number goes."""
        service = self._services.get(number.service_sid or "")
        if service is None or service.use_inbound_webhook_on_number:
            return Route(number.sms_url, number.sms_method, number.service_sid)
        return Route(service.inbound_request_url, service.inbound_method, service.sid)


def _put(entries: dict[str, Any], key: str, entry: Any) -> None:
    entries[key] = entry
    if len(entries) > _MOST:
        del entries[next(iter(entries))]
