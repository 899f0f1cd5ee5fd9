"""Reads WhatsApp's authentication templates, and whether they are approved. Nothing is changed.

(https://www.twilio.com/docs/content/content-api-resources)
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json

from service.providers.twilio.account import API_HOST
from service.providers.twilio.errors import unread

_KIND = "whatsapp/authentication"


class ContentTemplate(NamedTuple):
    """What the diagnosis needs of a template."""

    language: str  # as WhatsApp writes it: en, pt_BR
    is_authentication: bool
    minutes: int | None  # for how long its text says that the code is valid; None: it says nothing
    variables: tuple[str, ...]
    approval: str  # approved, pending, rejected, paused …


class ContentTemplates:
    """Reads the templates of one account; `request(method, url, params=)` makes one request with its credentials."""

    def __init__(self, request: Callable[..., Awaitable[Any]], address: str) -> None:
        self._request = request
        self._contents = f"{API_HOST.sub('https://content.', address)}/v1/Content"

    async def read(self, sid: str) -> ContentTemplate:
        """Read a template and its approval. Raises `ResourceUnread`, and nothing else."""
        try:
            content = await self._get(f"{self._contents}/{sid}")
            approval = await self._get(f"{self._contents}/{sid}/ApprovalRequests")
            return _template(content, approval)
        except Exception as fault:  # noqa: BLE001 - every failure is translated to one kind
            raise unread(fault) from None

    async def _get(self, url: str) -> Any:
        return from_json((await self._request("GET", url)).text)


def _template(content: Mapping[str, Any], approval: Mapping[str, Any]) -> ContentTemplate:
    kind = content["types"].get(_KIND)
    minutes = kind.get("code_expiration_minutes") if kind else None
    return ContentTemplate(
        language=str(content["language"]),
        is_authentication=kind is not None,
        minutes=None if minutes is None else int(minutes),
        variables=tuple(content["variables"] or {}),
        approval=str((approval["whatsapp"] or {}).get("status", "unsubmitted")),
    )
