"""Twilio's endpoints for content templates and their approval by WhatsApp.

https://www.twilio.com/docs/content/content-api-resources: https://content.twilio.com/v1, which is here under `/v1` of
the same address. Bodies are JSON. After a request for approval the template is `received`; WhatsApp decides when a test
or a person says so (`POST /_/content/{sid}`, see `inspection`).
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.sandbox.account_resources import iso8601
from service.sandbox.errors import TwilioError, found
from service.sandbox.faults import Endpoint
from service.sandbox.settings import SandboxSettings
from service.sandbox.templates import AUTHENTICATION, Approval, Template, Templates
from service.sandbox.twilio_endpoint import Act, Handler

_CONTENT = "https://content.twilio.com/v1/Content"
_SID = re.compile(r"HX[0-9a-f]{32}")
_MOST_MINUTES = 90
Body = TypeVar("Body", bound=BaseModel)


class _NewTemplate(BaseModel):
    """The body of POST Content."""

    language: Annotated[str, Field(min_length=2, max_length=20)]
    types: dict[str, Any] = Field(min_length=1)
    friendly_name: str = ""
    variables: dict[str, str] = Field(default_factory=dict)


class _ApprovalRequest(BaseModel):
    """The body of POST ApprovalRequests/whatsapp."""

    name: str = Field(pattern=r"^[a-z0-9_]{1,512}$")
    category: str = Field(pattern=r"^(AUTHENTICATION|UTILITY|MARKETING)$")


class ContentApi:
    """The endpoints of one sandbox."""

    def __init__(self, settings: SandboxSettings, templates: Templates, endpoint: Handler) -> None:
        self._account_sid = settings.account_sid
        self._templates = templates
        self._endpoint = endpoint

    def routes(self) -> list[Route]:
        """Return the routes of the endpoints."""
        return [
            self._route("/v1/Content", "GET", self._list),
            self._route("/v1/Content", "POST", self._create),
            self._route("/v1/Content/{sid}", "GET", self._fetch),
            self._route("/v1/Content/{sid}/ApprovalRequests", "GET", self._fetch_approval),
            self._route("/v1/Content/{sid}/ApprovalRequests/whatsapp", "POST", self._request_approval),
        ]

    def _route(self, path: str, method: str, act: Act) -> Route:
        endpoint: Endpoint = "reads" if method == "GET" else "account"

        async def handle(request: Request) -> Response:
            return await self._endpoint.handle(request, endpoint, act)

        return Route(path, handle, methods=[method])

    async def _list(self, _: Request, __: Mapping[str, str]) -> Response:
        rows = [template_resource(each, self._account_sid) for each in self._templates.all()]
        links = {"first_page_url": None, "previous_page_url": None, "next_page_url": None, "url": None}
        return JSONResponse(
            {"meta": {"key": "contents", "page": 0, "page_size": 50, **links}, "contents": rows}
        )  # fmt: skip

    async def _create(self, request: Request, _: Mapping[str, str]) -> Response:
        asked = await _read(request, _NewTemplate)
        minutes = asked.types.get(AUTHENTICATION, {}).get("code_expiration_minutes", 1)
        if not isinstance(minutes, int) or not 1 <= minutes <= _MOST_MINUTES:
            raise TwilioError(20422, f"code_expiration_minutes must be a whole number from 1 to {_MOST_MINUTES}")
        template = self._templates.put(Template(**asked.model_dump()))
        return JSONResponse(template_resource(template, self._account_sid), 201)

    async def _fetch(self, request: Request, _: Mapping[str, str]) -> Response:
        return JSONResponse(template_resource(self._find(request), self._account_sid))

    async def _fetch_approval(self, request: Request, _: Mapping[str, str]) -> Response:
        template = self._find(request)
        body = {"sid": template.sid, "account_sid": self._account_sid, "url": f"{_url(template)}/ApprovalRequests"}
        return JSONResponse({**body, "whatsapp": {"type": "whatsapp", **_approval(template)}})

    async def _request_approval(self, request: Request, _: Mapping[str, str]) -> Response:
        asked = await _read(request, _ApprovalRequest)
        template = self._find(request)
        if template.approval.status != "unsubmitted":
            raise TwilioError(20422, "approval of this template was requested before")
        received = Approval(name=asked.name, category=asked.category, status="received")
        return JSONResponse(_approval(self._templates.decide(template, **vars(received))), 201)

    def _find(self, request: Request) -> Template:
        sid = request.path_params["sid"]
        return found(self._templates.get(sid) if _SID.fullmatch(sid) else None, request.url.path)


def template_resource(template: Template, account_sid: str) -> dict[str, object]:
    """Return the Content resource."""
    url = _url(template)
    return {
        "sid": template.sid,
        "account_sid": account_sid,
        "friendly_name": template.friendly_name,
        "language": template.language,
        "variables": template.variables,
        "types": template.types,
        "date_created": iso8601(template.created_at),
        "date_updated": iso8601(template.updated_at),
        "url": url,
        "links": {
            "approval_create": f"{url}/ApprovalRequests/whatsapp",
            "approval_fetch": f"{url}/ApprovalRequests",
        },
    }


def _approval(template: Template) -> dict[str, object]:
    approval = template.approval
    return {
        "name": approval.name,
        "category": approval.category,
        "content_type": next(iter(template.types)),
        "status": approval.status,
        "rejection_reason": approval.rejection_reason,
        "allow_category_change": True,
    }


def _url(template: Template) -> str:
    return f"{_CONTENT}/{template.sid}"


async def _read(request: Request, model: type[Body]) -> Body:
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as wrong:
        first = wrong.errors()[0]
        raise TwilioError(20422, f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}") from None
