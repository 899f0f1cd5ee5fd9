"""The virtual phone: a page that shows each message as it arrives, its status, and buttons that plan faults.

It uses the test interface like any other client (`inspection`): the page lists `/_/messages`, listens to `/_/events`
and plans faults through `/_/faults`.
"""

from pathlib import Path

from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

# Only resources of the same origin, nothing inline; only pages of the same origin may frame it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


def phone_routes() -> list[BaseRoute]:
    """Return the routes of the phone."""
    return page_routes("/phone", Path(__file__).parent / "pages" / "phone.html", files="/pages")


def page_routes(path: str, page: Path, *, files: str) -> list[BaseRoute]:
    """Serve a page under a strict content security policy, and the files in its folder under `files`."""

    async def show(_: object) -> Response:
        return FileResponse(page, headers={"Content-Security-Policy": _POLICY})

    return [Route(path, show, methods=["GET"]), Mount(files, StaticFiles(directory=page.parent))]
