"""What a script answers when it does nothing: one word, which becomes one exception of the core."""

from collections.abc import Callable

from service.core.idempotency import OtherBody
from service.core.store_health import NEWER_FORMAT, UNREADABLE, StoreUnavailable
from service.core.verification_store import (
    IdTaken,
    Overtaken,
    SameCode,
    SendsExhausted,
    UnknownVerification,
    WrongAction,
)
from service.store.fields import FORMAT_VERSION

_NEWER = f"the record has a newer format than {FORMAT_VERSION}"
_OTHER_KEY = "the record was written under a key that must first be added on every host"
_REFUSALS: dict[bytes, Callable[[str], Exception]] = {
    b"missing": lambda _: UnknownVerification(),
    b"taken": lambda _: IdTaken(),
    b"exhausted": lambda _: SendsExhausted(),
    b"same_code": lambda _: SameCode(),
    b"overtaken": lambda _: Overtaken(),
    b"wrong_action": lambda _: WrongAction(),
    b"other_body": lambda _: OtherBody(),
    b"newer_format": lambda step: StoreUnavailable(f"{step}: {_NEWER}", NEWER_FORMAT),
    b"other_key": lambda step: StoreUnavailable(f"{step}: {_OTHER_KEY}", UNREADABLE),
}


def refused(step: str, answer: bytes) -> Exception:
    """Give the exception for what a script answered."""
    return _REFUSALS[answer](step)
