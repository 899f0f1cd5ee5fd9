"""Asks a webhook what is to happen to an inbound message or call, and records each try with Twilio's error, if any."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from service.sandbox.ledger import Ledger
from service.sandbox.records import CallbackPost
from service.sandbox.twiml import TwimlError
from service.sandbox.webhooks import WebhookResponse, Webhooks

T = TypeVar("T")


class Instructions:
    """The webhooks for inbound messages and calls of one sandbox."""

    def __init__(self, ledger: Ledger, webhooks: Webhooks) -> None:
        self._ledger = ledger
        self._webhooks = webhooks

    async def ask(
        self,
        url: str,
        form: Mapping[str, str],
        read: Callable[[WebhookResponse], T],
        *,
        about: tuple[str, str],
        method: str = "POST",
        unsigned: Collection[str] = (),
    ) -> T:
        """Return what `read` makes of the response; raise its TwimlError. `about` is a SID and its status."""
        sid, status = about

        def record(called: str, response: WebhookResponse) -> None:
            post = CallbackPost(
                sid=sid,
                message_status=status,
                url=called,
                result=response.result,
                at=datetime.now(UTC),
                error_code=_error_in(read, response),
            )
            self._ledger.add_callback(post)

        return read(await self._webhooks.post(url, form, record, method=method, unsigned=unsigned))


def _error_in(read: Callable[[WebhookResponse], object], response: WebhookResponse) -> int | None:
    try:
        read(response)
    except TwimlError as error:
        return error.code
    return None
