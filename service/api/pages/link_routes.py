"""The page of a link at `/l/{token}`: GET shows it, POST answers it.

GET and HEAD change nothing, and respond 200 to every token, known or not: scanners and previewers open links before
people do. A POST without two digits changes nothing either. Only two digits, or "It wasn't me" on its second page, are
decided, by `core.links`. After a wrong match the browser is redirected to the page, which says so: otherwise a reload
would send the match again, and cost another attempt.

All requests count under one limit by address. Its counter is the only key that an unknown token creates. The request
log has the template of the route, never the token.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from importlib.resources import files
from typing import Annotated, Protocol

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import BaseRoute

from service.api.pages.link_page import ASKED, CONFIRMED, HEADERS, STYLE, LinkPage
from service.core.actions.link import LONGEST_TYPED_MATCH, PATH
from service.core.limiter import Limiter
from service.core.links import LinkedVerification
from service.core.profiles import Profiles
from service.core.verification import CheckResult, Status, Verdict, Verification
from service.http.request import Request
from service.http.response import Response
from service.http.route import DirectRoute
from service.http.wire import HTML_WIRE

_MAX_BODY_BYTES = 1024
_CSS = "text/css; charset=utf-8"
_WRONG = "wrong"  # the query of the page after a wrong match

Token = Annotated[str, Path(description="The token of the link.")]


class Links(Protocol):
    """Looks at links, and decides what people do with them. `service.core.links` implements it."""

    async def look(self, token: str) -> LinkedVerification | None:
        """Read what a link leads to; None if it is unknown."""

    async def answer(self, token: str, match: str) -> CheckResult | None:
        """Decide a typed match. Raises `ValueError` if it is not two digits."""

    async def decline(self, token: str) -> Verification | None:
        """End the verification: the person did not ask for it."""


class LinkForm(BaseModel):
    """What the buttons of the page send."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    match: str = Field("", description="The two digits, as typed.")
    decline: str = Field("", description=f"`{ASKED}` by the first button, `{CONFIRMED}` by the second.")


class LinkEndpoints:
    """Shows the page of a link, and passes on what the person does there."""

    def __init__(
        self, links: Links, limiter: Limiter, profiles: Profiles, page: LinkPage, *, trusted_proxies: int
    ) -> None:
        self._links = links
        self._limiter = limiter
        self._profiles = profiles
        self._page = page
        self._trusted_proxies = trusted_proxies

    def routes(self) -> list[BaseRoute]:
        """List the routes: the style sheet, and the page with its answer."""
        wire = replace(HTML_WIRE, render_problem=self._page.problem)
        route = partial(DirectRoute, access=None, wire=wire, include_in_schema=False)
        page = PATH + "{token}"
        return [
            route(PATH + STYLE, _shows_style(), in_flight_share=None),
            route(page, self.show, not_at=PATH + STYLE),
            route(page, self.answer, methods=["POST"], max_body_bytes=_MAX_BODY_BYTES, not_at=PATH + STYLE),
        ]

    async def show(self, request: Request, token: Token) -> Response:
        """Show the page. Nothing changes."""
        await self._admit(request)
        linked, page = await self._look(token)
        return page.form(linked, is_wrong=request.view.head.query == _WRONG.encode())

    async def answer(self, request: Request, token: Token, body: LinkForm) -> Response:
        """Decide what the person typed or pressed."""
        await self._admit(request)
        linked, page = await self._look(token)  # also for the brand of the page, which an answer does not tell
        if body.decline == ASKED:
            return page.asks_again(linked)
        if body.decline == CONFIRMED:
            return await self._decline(request, token, page)
        try:
            result = await self._links.answer(token, body.match[: LONGEST_TYPED_MATCH + 1])
        except ValueError:
            return page.form(linked, is_malformed=True)
        if result is not None:
            request.log |= {"verification_id": result.verification.id, "verdict": str(result.verdict)}
            if result.verdict is Verdict.WRONG_CODE and result.verification.status is Status.PENDING:
                return Response(303, b"", {**HEADERS, "location": f"?{_WRONG}"})
        return page.checked(result)

    async def _look(self, token: str) -> tuple[LinkedVerification | None, LinkPage]:
        """Read what a link leads to, and find the pages of its brand."""
        linked = await self._links.look(token)
        if linked is None:
            return None, self._page
        profile = await self._profiles.of(linked.verification.key_tag, linked.verification.owner)
        return linked, self._page.of(profile.texts.brand)

    async def _decline(self, request: Request, token: str, page: LinkPage) -> Response:
        verification = await self._links.decline(token)
        if verification is not None:
            request.log["verification_id"] = verification.id
        return page.declined(verification)

    async def _admit(self, request: Request) -> None:
        await self._limiter.admit_link(request.peer(trusted_proxies=self._trusted_proxies))


def _shows_style() -> Callable[[Request], Awaitable[Response]]:
    response = Response(200, files("service.api.pages").joinpath("link.css").read_bytes(), media_type=_CSS)

    async def show(request: Request) -> Response:  # noqa: ARG001 - every endpoint gets the request
        return response

    return show
