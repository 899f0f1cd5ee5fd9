"""Compares where Twilio posts replies and calls with where this service receives them.

Both actions are optional. So it is no fault if nothing points to this service; but something that points to it and
cannot work is one, because replies or calls are lost.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from urllib.parse import urldefrag, urlsplit

from service.api.twilio import inbound_calls, inbound_messages
from service.config.forms import is_sid
from service.config.settings import Settings
from service.core.api_keys import ApiKey
from service.core.profiles import can_receive
from service.diagnosis.finding import Finding, Level
from service.providers.twilio.errors import ResourceUnread
from service.providers.twilio.inbound_urls import InboundUrl, InboundUrls

_MESSAGE, _VOICE = inbound_messages.PATH, inbound_calls.PATH
_MOST_SHOWN = 200
_MOST_SENDERS = 20  # of API keys: each takes a request


class _Reading(NamedTuple):
    where: str
    urls: Sequence[InboundUrl]


class _Look(NamedTuple):
    """What to look at for one of the two actions."""

    what: str
    where: str  # in Twilio's Console
    path: str
    read: Callable[[], Awaitable[_Reading]]


class _State(NamedTuple):
    """What a look found. Looks of the same state share a line, unless it is of one only (`text`)."""

    name: str
    level: Level = "ok"
    reason: str = ""
    text: str = ""


async def inbound_findings(settings: Settings, urls: InboundUrls, keys: Sequence[ApiKey] = ()) -> list[Finding]:
    """Read the URLs at Twilio, and say whether they lead here; without a public address there is nothing to compare."""
    root = settings.otp_public_url
    if root is None:
        return []
    found: dict[_State, list[_Look]] = {}
    of_keys = _looks_of_keys(settings, urls, keys)
    for look in _looks(settings, urls) + of_keys[:_MOST_SENDERS]:
        where, state = await _look_at(look, root)
        found.setdefault(state, []).append(look._replace(where=where))
    findings = [Finding(state.level, _text(state, looks, root)) for state, looks in found.items()]
    left_out = len(of_keys[_MOST_SENDERS:])
    text = f"Where replies to {left_out} more senders of API keys go was not read."
    return findings + ([Finding("ok", text)] if left_out else [])


def _looks(settings: Settings, urls: InboundUrls) -> list[_Look]:
    sender, service = settings.twilio_from or "", settings.twilio_messaging_service_sid
    own = "TWILIO_FROM" if service is None else "TWILIO_MESSAGING_SERVICE_SID"
    looks = _replies("replies", own, service or sender, urls)
    name = "OTP_CALL_NUMBER" if settings.otp_call_number else "TWILIO_FROM"
    number = settings.otp_call_number or (sender if sender.startswith("+") else None)
    voice = f"“A call comes in” of {name if number else 'the number that OTP_CALL_NUMBER should name'}"
    looks.append(_Look("calls", voice, _VOICE, lambda: _calls_of(urls, voice, number)))
    return looks


def _looks_of_keys(settings: Settings, urls: InboundUrls, keys: Sequence[ApiKey]) -> list[_Look]:
    """List what to look at for the senders that only API keys have."""
    names: dict[str, list[str]] = {}
    for key in keys:
        if key.look.sender not in {None, settings.twilio_from, settings.twilio_messaging_service_sid}:
            names.setdefault(key.look.sender or "", []).append(key.name)
    looks: list[_Look] = []
    for sender, of in names.items():
        looks += _replies(f"replies to the sender of {_listed(of)}", f"the sender of {_listed(of)}", sender, urls)
    return looks


def _replies(what: str, name: str, sender: str, urls: InboundUrls) -> list[_Look]:
    """Say where replies to a sender go; a name receives none."""
    if is_sid("MG", sender):
        where = f"the Request URL of {name}"
        numbers = f"“A message comes in” of the numbers of {name}"
        return [_Look(what, where, _MESSAGE, lambda: _of_service(urls, where, numbers, sender))]
    place = f"“A message comes in” of {name}"
    return [_Look(what, place, _MESSAGE, lambda: _messages_of(urls, place, sender))] if can_receive(sender) else []


async def _of_service(urls: InboundUrls, where: str, numbers: str, sid: str) -> _Reading:
    service = await urls.of_service(sid)
    return _Reading(numbers if service.are_of_numbers else where, service.messages)


async def _messages_of(urls: InboundUrls, where: str, sender: str) -> _Reading:
    if not sender.startswith("+"):
        raise ResourceUnread("a short code's URL is not read", is_forbidden=True)
    return _Reading(where, [(await urls.of_number(sender)).messages])


async def _calls_of(urls: InboundUrls, where: str, number: str | None) -> _Reading:
    return _Reading(where, [] if number is None else [(await urls.of_number(number)).calls])


async def _look_at(look: _Look, root: str) -> tuple[str, _State]:
    try:
        where, urls = await look.read()
    except ResourceUnread as unread:
        return look.where, _State("unread", "ok" if unread.is_forbidden else "warn", str(unread))
    expected = root + look.path
    faults = [fault for url in urls if (fault := _fault(url, root, look.path)) is not None]
    if faults:
        return where, _State("wrong", "warn", text=f"{_capital(look.what)} do not arrive: {where} {faults[0]}")
    arriving = sum(_is_at(url, expected) for url in urls)
    if 0 < arriving < len(urls):
        text = (
            f"{_capital(look.what)} do not all arrive: {where} leads here for only {arriving} of {len(urls)}. "
            f"Set each to {expected} (HTTP POST)."
        )
        return where, _State("wrong", "warn", text=text)
    if arriving:
        return where, _State("set up")
    if any(url.is_replaced for url in urls):
        return where, _State("unread", reason="a TwiML App or a SIP trunk is set instead")
    return where, _State("not set up")


def _text(state: _State, looks: Sequence[_Look], root: str) -> str:
    if state.text:
        return state.text
    what = _listed([look.what for look in looks])
    steps = f"set {_listed([f'{look.where} to {root}{look.path}' for look in looks])} (HTTP POST)"
    if state.name == "set up":
        return f"Twilio posts {what} to this service."
    if state.name == "unread":
        return f"Where {what} go could not be read ({state.reason}). To use them, look in Twilio's Console: {steps}."
    return f"{_capital(what)} are not set up: to use them, {steps} in Twilio's Console."


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _is_at(found: InboundUrl, expected: str) -> bool:
    """Compare as the signature does: to the character, without the fragment, which says how often to retry."""
    return not found.is_replaced and urldefrag(found.url).url == expected


def _fault(found: InboundUrl, root: str, path: str) -> str | None:
    """Say what is wrong with a URL of this service; None if it is right, or leads elsewhere."""
    if found.is_replaced or not _is_ours(found.url, root):
        return None
    if not _is_at(found, root + path):
        return f"is {_shown(found.url)}. Set it to {root}{path} (HTTP POST)."
    return None if found.method == "POST" else f"is called by HTTP {found.method}. Choose HTTP POST."


def _is_ours(url: str, root: str) -> bool:
    """Tell whether a URL is meant to be this service's: other paths of its host may be those of others."""
    try:
        found, own = urlsplit(url), urlsplit(root)
    except ValueError:
        return False
    is_below = found.path.startswith(f"{own.path}/") or not own.path
    return found.hostname == own.hostname and (is_below or found.path.rstrip("/").endswith((_MESSAGE, _VOICE)))


def _shown(url: str) -> str:
    """Write a URL without what may be secret: its user, and its query."""
    parts = urlsplit(url)
    _, user, host = parts.netloc.rpartition("@")
    text = f"{parts.scheme}://{'…@' if user else ''}{host}{parts.path}{'?…' if parts.query else ''}"
    return "".join(filter(str.isprintable, text))[:_MOST_SHOWN]
