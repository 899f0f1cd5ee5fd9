"""The page of a link, as HTML: what each state of it says.

It works without a script, and loads nothing but its style sheet. All values from outside are escaped. Which page is
shown is left to `link_routes`.

The form is the same for every token, also for one that is unknown or has ended, and the page says nothing of the state
of the verification: only an answer shows it. What was asked for, when and from where is shown only for a token that
leads to a verification; nobody can guess one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple
from urllib.parse import urlsplit

from service.core.links import LinkedVerification
from service.core.verification import CheckResult, Status, Verdict, Verification
from service.http.problems import HttpProblem
from service.http.response import HTML, Response

STYLE = "style.css"  # beside the pages, so that a proxy lets it in too
CONFIRMED, ASKED = "confirmed", "asked"  # values of the field `decline`
HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
}
_ONLY_YOU = "Type the two digits only if you see them where you started. Nobody else has a reason to ask you for this."


class Ending(NamedTuple):
    """What a page says when there is nothing more to do on it."""

    heading: str
    text: str


_UNKNOWN = Ending("This link does not work any more", "Start again where you came from. Nothing was confirmed.")
_ENDED = Ending("This was ended", "Nothing was confirmed. If you still want to go on, start again where you came from.")
_LOCKED = Ending("Too many wrong tries", "Nothing was confirmed. Start again where you came from.")
_ENDINGS = {
    Verdict.APPROVED: Ending("Confirmed", "You can close this page."),
    Verdict.USED: Ending("Already confirmed", "This was confirmed before. You can close this page."),
    Verdict.EXPIRED: Ending("This link is too old", "Nothing was confirmed. Start again where you came from."),
    Verdict.SUPERSEDED: Ending("There is a newer link", "Nothing was confirmed. Open the link of the newest message."),
    Verdict.CANCELED: _ENDED,
    Verdict.LOCKED: _LOCKED,
}
_DECLINED = Ending("Thank you", "It was ended: nobody can go on with it. You need not do anything else.")
_NOT_DECLINED = Ending(
    "This cannot be ended now", "There were too many wrong tries, so nobody can go on for a while. Try again later."
)
_DECLINED_LATE = Ending(
    "It was confirmed before",
    "So it cannot be ended here any more. If it was not you, tell those who run the service at once.",
)
_NOT_ENDED = {Status.APPROVED: _DECLINED_LATE, Status.PENDING: _NOT_DECLINED}


class LinkPage:
    """Writes the pages of one brand."""

    def __init__(self, brand: str, *, return_urls: tuple[str, ...], max_attempts: int) -> None:
        self._brand = escape(brand)
        self._return_urls = return_urls
        self._max_attempts = max_attempts

    def form(self, linked: LinkedVerification | None, *, fault: str = "", status: int = 200) -> Response:
        """Ask for the two digits."""
        details = "" if linked is None else _details(linked.verification)
        return self._page("Is this you?", _form(details, fault), status)

    def asks_again(self) -> Response:
        """Ask once more whether it was not the person. Scanners press buttons, so one click ends nothing."""
        return self._page("Was it not you?", _ASKS_AGAIN, 200)

    def checked(self, result: CheckResult | None) -> Response:
        """Tell what an answer came to."""
        if result is None:
            return self._ending(_UNKNOWN, 404)
        verification, verdict = result.verification, result.verdict
        if verdict is Verdict.WRONG_CODE:
            if verification.status is not Status.PENDING:
                return self._ending(_LOCKED if verification.status is Status.MAX_ATTEMPTS_REACHED else _ENDED)
            return self._page("Is this you?", _form(_details(verification), self._wrong(verification)), 200)
        if verdict is Verdict.EXPIRED and verification.status is Status.PENDING:
            verdict = Verdict.SUPERSEDED  # the link of a later send still counts
        is_done = verdict in (Verdict.APPROVED, Verdict.USED) and verification.status is Status.APPROVED
        return self._ending(_ENDINGS.get(verdict, _ENDED), back=self._back(verification) if is_done else "")

    def declined(self, verification: Verification | None) -> Response:
        """Tell what "It wasn't me" came to."""
        if verification is None:
            return self._ending(_UNKNOWN, 404)
        return self._ending(_NOT_ENDED.get(verification.status, _DECLINED))

    def problem(self, problem: HttpProblem) -> Response:
        """Write a problem; what went wrong for a while can be tried again."""
        is_short = problem.status in (429, 503)
        heading = "Try again in a moment" if is_short else "This did not work"
        text = f'<p>{escape(problem.members.get("detail", ""))}</p>\n<p><a href="">Try again</a></p>'
        response = self._page(heading, text, problem.status)
        return response._replace(headers={**problem.all_headers, **response.headers})

    def _wrong(self, verification: Verification) -> str:
        left = self._max_attempts - verification.attempts
        return f"These are not the digits. You have {left} {'try' if left == 1 else 'tries'} left."

    def _back(self, verification: Verification) -> str:
        place = verification.request.link_return
        if place is None or place >= len(self._return_urls):
            return ""
        url = self._return_urls[place]
        return f'<p>You can go back to <a href="{escape(url)}">{escape(urlsplit(url).netloc)}</a>.</p>'

    def _ending(self, ending: Ending, status: int = 200, back: str = "") -> Response:
        return self._page(ending.heading, f"<p>{escape(ending.text)}</p>\n{back}", status)

    def _page(self, heading: str, content: str, status: int) -> Response:
        page = (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n<meta name="robots" content="noindex">\n'
            f'<title>Confirmation</title>\n<link rel="stylesheet" href="{STYLE}">\n</head>\n<body>\n<main>\n'
            f'<p class="brand">{self._brand}</p>\n<h1>{heading}</h1>\n{content}\n</main>\n</body>\n</html>\n'
        )
        return Response(status, page.encode(), HEADERS, HTML)


def _form(details: str, fault: str) -> str:
    shown, described = "", "hint"
    if fault:
        shown, described = f'<p class="fault" id="fault" role="alert">{escape(fault)}</p>\n', "fault hint"
    wrong = ' aria-invalid="true"' if fault else ""
    return (
        f'{details}<form method="post">\n<label for="match">The two digits that you see where you started</label>\n'
        f'{shown}<input id="match" name="match" inputmode="numeric" autocomplete="off" required maxlength="32" '
        f'aria-describedby="{described}"{wrong}>\n<p class="hint" id="hint">{_ONLY_YOU}</p>\n'
        '<button class="main">Confirm</button>\n'
        f'<button class="plain" name="decline" value="{ASKED}" formnovalidate>It wasn&rsquo;t me</button>\n</form>'
    )


_ASKS_AGAIN = (
    "<p>If you did not ask for this, end it. Then nobody can go on with it.</p>\n"
    '<form method="post">\n'
    f'<button class="main" name="decline" value="{CONFIRMED}">End it: it wasn&rsquo;t me</button>\n'
    '</form>\n<p><a href="">Back</a></p>'
)


def _details(verification: Verification) -> str:
    request, at = verification.request, datetime.fromtimestamp(verification.created_at_ms / 1000, UTC)
    minutes = max(0, verification.read_at_ms - verification.created_at_ms) // 60_000
    ago = "less than a minute ago" if minutes == 0 else f"{minutes} minute{'' if minutes == 1 else 's'} ago"
    when = f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{ago}, at {at:%H:%M} UTC</time>'
    rows = [("For", escape(request.purpose)), ("Started", when)]
    if request.origin_text:
        rows.append(("From", escape(request.origin_text)))
    return "<dl>\n" + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>\n" for name, value in rows) + "</dl>\n"
