"""The page of a link, as HTML: what each state of it says.

It works without a script, and loads nothing but its style sheet. All values from outside are escaped. Which page is
shown is left to `link_routes`.

A page is in the language of its verification (`link_words`); where it has none, in the one of `OTP_LOCALE`.

The form is the same for every token, also for one that is unknown or has ended, and the page says nothing of the state
of the verification: only an answer shows it, and the page after a wrong one. What was asked for, when and from where is
shown only for a token that leads to a verification; nobody can guess one.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from urllib.parse import urlsplit

from service.api.pages.link_words import words_of
from service.api.pages.link_words.words import Ending, Words
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
_VERDICTS: Mapping[Verdict, Callable[[Words], Ending]] = {
    Verdict.APPROVED: lambda words: words.approved,
    Verdict.USED: lambda words: words.used,
    Verdict.EXPIRED: lambda words: words.expired,
    Verdict.SUPERSEDED: lambda words: words.superseded,
    Verdict.LOCKED: lambda words: words.locked,
}


class LinkPage:
    """Writes the pages of one brand, each in the language of its verification; others are in `locale`."""

    def __init__(self, brand: str, *, locale: str, return_urls: tuple[str, ...], max_attempts: int) -> None:
        self._brand = escape(brand)
        self._locale = locale
        self._words = words_of(locale)
        self._return_urls = return_urls
        self._max_attempts = max_attempts

    def of(self, brand: str) -> "LinkPage":
        """Return the pages of another brand."""
        return LinkPage(brand, locale=self._locale, return_urls=self._return_urls, max_attempts=self._max_attempts)

    def form(
        self, linked: LinkedVerification | None, *, is_malformed: bool = False, is_wrong: bool = False
    ) -> Response:
        """Ask for the two digits. `is_malformed`: something else was typed; `is_wrong`: other digits were typed."""
        verification = None if linked is None else linked.verification
        words = self._words_for(verification)
        fault = words.malformed if is_malformed else ""
        if is_wrong and verification is not None and verification.status is Status.PENDING and verification.attempts:
            fault = _wrong(words, self._max_attempts - verification.attempts)
        form = _form(words, "" if verification is None else _details(words, verification), fault)
        return self._page(words, words.question, form, 422 if is_malformed else 200)

    def asks_again(self, linked: LinkedVerification | None) -> Response:
        """Ask once more whether it was not the person. Scanners press buttons, so one click ends nothing."""
        words = self._words_for(None if linked is None else linked.verification)
        content = (
            f'<p>{escape(words.not_me_text)}</p>\n<form method="post">\n'
            f'<button class="main" name="decline" value="{CONFIRMED}">{escape(words.end_it)}</button>\n'
            f'</form>\n<p><a href="">{escape(words.back)}</a></p>'
        )
        return self._page(words, words.not_me_question, content, 200)

    def checked(self, result: CheckResult | None) -> Response:
        """Tell what an answer came to, if it ended the verification or came after its end."""
        if result is None:
            return self._ending(self._words, self._words.unknown, 404)
        verification, verdict = result.verification, result.verdict
        words = self._words_for(verification)
        if verdict is Verdict.WRONG_CODE:
            is_locked = verification.status is Status.MAX_ATTEMPTS_REACHED
            return self._ending(words, words.locked if is_locked else words.ended)
        if verdict is Verdict.EXPIRED and verification.status is Status.PENDING:
            verdict = Verdict.SUPERSEDED  # the link of a later send still counts
        is_done = verdict in (Verdict.APPROVED, Verdict.USED) and verification.status is Status.APPROVED
        ending = _VERDICTS[verdict](words) if verdict in _VERDICTS else words.ended
        return self._ending(words, ending, back=self._back(words, verification) if is_done else "")

    def declined(self, verification: Verification | None) -> Response:
        """Tell what "It wasn't me" came to."""
        words = self._words_for(verification)
        if verification is None:
            return self._ending(words, words.unknown, 404)
        not_ended = {Status.APPROVED: words.declined_late, Status.PENDING: words.not_declined}
        return self._ending(words, not_ended.get(verification.status, words.declined))

    def problem(self, problem: HttpProblem) -> Response:
        """Write a problem; what goes wrong for a while can be tried again. Others never meet a browser."""
        words = self._words
        ending = words.not_now
        if problem.status not in (429, 503):
            ending = Ending(words.failed, problem.members.get("detail", ""))
        again = f'<p><a href="">{escape(words.try_again)}</a></p>'
        response = self._ending(words, ending, problem.status, again)
        return response._replace(headers={**problem.all_headers, **response.headers})

    def _words_for(self, verification: Verification | None) -> Words:
        return self._words if verification is None else words_of(verification.request.locale)

    def _back(self, words: Words, verification: Verification) -> str:
        place = verification.request.link_return
        if place is None or place >= len(self._return_urls):
            return ""
        url = self._return_urls[place]
        link = f'<a href="{escape(url)}">{escape(urlsplit(url).netloc)}</a>'
        return f"<p>{escape(words.go_back).format(place=link)}</p>"

    def _ending(self, words: Words, ending: Ending, status: int = 200, back: str = "") -> Response:
        return self._page(words, ending.heading, f"<p>{escape(ending.text)}</p>\n{back}", status)

    def _page(self, words: Words, heading: str, content: str, status: int) -> Response:
        page = (
            f'<!doctype html>\n<html lang="{words.language}" dir="{words.direction}">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n<meta name="robots" content="noindex">\n'
            f'<title>{escape(words.title)}</title>\n<link rel="stylesheet" href="{STYLE}">\n</head>\n<body>\n<main>\n'
            f'<p class="brand"><bdi>{self._brand}</bdi></p>\n<h1>{escape(heading)}</h1>\n{content}\n'
            "</main>\n</body>\n</html>\n"
        )
        return Response(status, page.encode(), HEADERS, HTML)


def _form(words: Words, details: str, fault: str) -> str:
    shown, described = "", "hint"
    if fault:
        shown, described = f'<p class="fault" id="fault" role="alert">{escape(fault)}</p>\n', "fault hint"
    wrong = ' aria-invalid="true"' if fault else ""
    return (
        f'{details}<form method="post">\n<label for="match">{escape(words.label)}</label>\n'
        f'{shown}<input id="match" name="match" dir="ltr" inputmode="numeric" autocomplete="off" required '
        f'maxlength="32" aria-describedby="{described}"{wrong}>\n'
        f'<p class="hint" id="hint">{escape(words.only_you)}</p>\n'
        f'<button class="main">{escape(words.confirm)}</button>\n'
        f'<button class="plain" name="decline" value="{ASKED}" formnovalidate>{escape(words.not_me)}</button>\n</form>'
    )


def _wrong(words: Words, left: int) -> str:
    return words.wrong_last if left == 1 else words.wrong.format(left=left)


def _details(words: Words, verification: Verification) -> str:
    request, at = verification.request, datetime.fromtimestamp(verification.created_at_ms / 1000, UTC)
    minutes = max(0, verification.read_at_ms - verification.created_at_ms) // 60_000
    ago = {0: words.just_now, 1: words.a_minute_ago}.get(minutes, words.minutes_ago)
    ago = ago.format(minutes=minutes, time=f"{at:%H:%M}")
    when = f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{escape(ago)}</time>'
    rows = [(words.purpose, f"<bdi>{escape(request.purpose)}</bdi>"), (words.started, when)]
    if request.origin_text:
        rows.append((words.origin, f"<bdi>{escape(request.origin_text)}</bdi>"))
    shown = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>\n" for name, value in rows)
    return f"<dl>\n{shown}</dl>\n"
