"""Twilio's endpoints: create, fetch and list messages, and post feedback.

https://www.twilio.com/docs/messaging/api/message-resource and .../message-feedback-resource. Each call comes through
`twilio_endpoint`, which handles faults and credentials first.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.sandbox.account import Account
from service.sandbox.carrier import Carrier
from service.sandbox.creation import read_message
from service.sandbox.errors import TwilioError, found
from service.sandbox.ledger import Ledger
from service.sandbox.records import Message
from service.sandbox.resources import API_VERSION, feedback_resource, message_resource
from service.sandbox.settings import SandboxSettings
from service.sandbox.twilio_endpoint import Handler, read_form
from service.sandbox.whatsapp import apply_template

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_PAGE_SIZE, _PAGE_LIMIT = 50, 1000


class TwilioApi:
    """The endpoints of one sandbox."""

    def __init__(
        self,
        settings: SandboxSettings,
        ledger: Ledger,
        account: Account,
        carrier: Carrier,
        endpoint: Handler,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._account = account
        self._carrier = carrier
        self._endpoint = endpoint

    def routes(self) -> list[Route]:
        """Return the routes of the endpoints."""
        messages = f"/{API_VERSION}/Accounts/{{account_sid}}/Messages"
        return [
            Route(f"{messages}.json", self.create_message, methods=["POST"]),
            Route(f"{messages}.json", self.list_messages, methods=["GET"]),
            Route(f"{messages}/{{sid}}.json", self.fetch_message, methods=["GET"]),
            Route(f"{messages}/{{sid}}/Feedback.json", self.post_feedback, methods=["POST"]),
        ]

    async def create_message(self, request: Request) -> Response:
        """Accept a message: 201 with its current status."""
        return await self._endpoint.handle(request, "messages", self._create)

    async def list_messages(self, request: Request) -> Response:
        """List messages, newest first, by To, From and DateSent (also `DateSent<` and `DateSent>`), in pages."""
        return await self._endpoint.handle(request, "reads", self._list)

    async def fetch_message(self, request: Request) -> Response:
        """Return one message."""
        return await self._endpoint.handle(request, "reads", self._fetch)

    async def post_feedback(self, request: Request) -> Response:
        """Accept an outcome; every post is recorded on arrival, even if it is then refused."""
        number = self._ledger.open_feedback(request.path_params["sid"], (await read_form(request)).get("Outcome"))
        response = await self._endpoint.handle(request, "feedback", self._feedback)
        if response.status_code:
            self._ledger.close_feedback(number, response.status_code)
        return response

    async def _create(self, _: Request, form: Mapping[str, str]) -> Response:
        message = read_message(form, sid=f"SM{uuid.uuid4().hex}", now=datetime.now(UTC))
        message = apply_template(message, self._account.templates)
        if self._account.opt_outs.is_stopped(message.to, message.sender, message.messaging_service_sid):
            raise TwilioError(21610, message.to)
        self._account.note_sender(message.sender, message.messaging_service_sid)
        self._ledger.add(message)
        await self._carrier.accept(message)
        return JSONResponse(message_resource(message, self._settings.account_sid), 201)

    async def _list(self, request: Request, _: Mapping[str, str]) -> Response:
        query = dict(request.query_params)
        size = min(max(_natural(query.pop("PageSize", ""), _PAGE_SIZE), 1), _PAGE_LIMIT)
        page = _natural(query.pop("Page", ""), 0)
        wanted = _filters(query)
        found = [one for one in reversed(self._ledger.messages()) if all(matches(one) for matches in wanted)]
        rows = found[page * size : (page + 1) * size]
        path = f"/{API_VERSION}/Accounts/{self._settings.account_sid}/Messages.json"

        def uri(number: int) -> str:
            return f"{path}?{urlencode({**query, 'PageSize': size, 'Page': number})}"

        body: dict[str, object] = {
            "messages": [message_resource(message, self._settings.account_sid) for message in rows],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(len(rows) - 1, 0),
            "uri": uri(page),
            "first_page_uri": uri(0),
            "previous_page_uri": uri(page - 1) if page else None,
            "next_page_uri": uri(page + 1) if (page + 1) * size < len(found) else None,
        }
        return JSONResponse(body)

    async def _fetch(self, request: Request, _: Mapping[str, str]) -> Response:
        return JSONResponse(message_resource(self._find(request), self._settings.account_sid))

    async def _feedback(self, request: Request, form: Mapping[str, str]) -> Response:
        message = self._find(request)
        outcome = form.get("Outcome", "")
        if outcome not in {"confirmed", "unconfirmed"}:
            raise TwilioError(20422, "Outcome must be confirmed or unconfirmed")
        if self._settings.require_provide_feedback and not message.provide_feedback:
            raise TwilioError(20422, "the message was created without ProvideFeedback")
        settled = self._ledger.set_outcome(message.sid, outcome) or message
        return JSONResponse(feedback_resource(settled, self._settings.account_sid))

    def _find(self, request: Request) -> Message:
        sid = request.path_params["sid"]
        return found(self._ledger.message(sid) if _SID.fullmatch(sid) else None, request.url.path)


def _natural(text: str, default: int) -> int:
    return int(text[:9]) if text.isascii() and text.isdigit() else default


def _filters(query: Mapping[str, str]) -> list[Callable[[Message], bool]]:
    """Return one test per filter. A date means midnight UTC, except in `DateSent=`, where it means the whole day.

    Every SDK writes a date as midnight UTC, so that instant also means the whole day. A message that has not been sent
    yet has no DateSent and matches no such filter.
    """
    tests: list[Callable[[Message], bool]] = []
    if to := query.get("To"):
        tests.append(lambda message: message.to == to)
    if sender := query.get("From"):
        tests.append(lambda message: message.sender == sender)
    if on := query.get("DateSent"):
        moment = _moment(on)
        whole_day = moment.timetz() == time(tzinfo=UTC)
        tests.append(
            lambda message: message.sent_at is not None and _same(message.sent_at, moment, whole_day=whole_day)
        )
    if before := query.get("DateSent<"):
        last = _moment(before)
        tests.append(lambda message: message.sent_at is not None and message.sent_at <= last)
    if after := query.get("DateSent>"):
        first = _moment(after)
        tests.append(lambda message: message.sent_at is not None and message.sent_at >= first)
    return tests


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TwilioError(20422, f"DateSent {text}") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _same(left: datetime, right: datetime, *, whole_day: bool) -> bool:
    if whole_day:
        return left.date() == right.date()
    return left.replace(microsecond=0) == right.replace(microsecond=0)
