"""The page of a link over real HTTP: what scanners and people do there, and what it comes to."""

import asyncio
import re
from contextlib import suppress
from html import unescape
from importlib import import_module
from urllib.parse import urlsplit

import pytest
import redis.asyncio

from service.api.pages.link_words import ENGLISH, WORDS, words_of
from service.api.pages.link_words.words import Ending
from service.core.actions import ACTIONS, Action
from service.core.texts import LOCALES
from tests.conftest import eventually
from tests.link_paths import TOKEN, requests_for_a_link

UNKNOWN = "/l/0" + "a" * 22
WHERE = 'the shop\'s till & "desk"'


async def linked(running, **fields):
    """Issue a link; return (the response, the path of its page)."""
    issued = await running.issue(action="link", **fields)
    assert await eventually(lambda: _is_delivered(running, issued["id"]))  # so that no callback changes anything later
    return issued, path_of(running)


async def _is_delivered(running, verification_id):
    return (await running.read(verification_id))["sends"][-1]["status"] == "delivered"


def path_of(running, place=-1):
    """Return the path of the link in a message."""
    [token] = ACTIONS[Action.LINK].found_in(running.messages()[place].body)
    return f"/l/{token}"


async def visit(running, path, method="GET", **form):
    """Open a page as a browser does, or send its form; return (status, the page)."""
    sent = {"data": form} if method == "POST" else {}
    async with running.http.request(method, path, **sent) as response:
        return response.status, await response.text()


async def answer(running, path, match):
    return await visit(running, path, "POST", match=match)


def wrong(match):
    return "00" if match != "00" else "11"


def says(page, heading):
    """Tell whether a page has this heading."""
    return f"<h1>{heading}</h1>" in page


async def snapshot(redis):
    """Read everything in Redis but the counters of limits."""
    keys = sorted([key async for key in redis.scan_iter("*") if b":limit:" not in _bytes(key)], key=_bytes)
    return {key: await redis.dump(key) for key in keys}


def _bytes(key):
    return key if isinstance(key, bytes) else key.encode()


@pytest.fixture
async def stored(valkey):
    """Read Redis as a test sees it from outside."""
    async with redis.asyncio.Redis.from_url(valkey) as client:
        yield lambda: snapshot(client)


async def test_the_right_match_approves_and_confirms(running, settled):
    """The two digits approve the verification, and the link's message is confirmed once."""
    issued, path = await linked(running)
    status, page = await answer(running, path, issued["match"])
    assert (status, says(page, "Confirmed")) == (200, True)
    assert (await running.read(issued["id"]))["status"] == "approved"
    assert await settled(running) == [("confirmed", 1)]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_scanner_that_comes_first_changes_nothing(running, settled, stored, method):
    """However often a link is opened, nothing in Redis changes; afterwards the person is approved."""
    issued, path = await linked(running)
    before = await stored()
    for _ in range(7):
        status, page = await visit(running, path, method)
        assert (status, bool(page)) == (200, method == "GET")
    assert await stored() == before
    assert says((await answer(running, path, issued["match"]))[1], "Confirmed")
    assert await settled(running) == [("confirmed", 1)]


async def test_opening_is_200_for_every_token(running, stored):
    """Unknown, malformed, pending and ended tokens get 200 and the same form; only what was asked for differs."""
    issued, path = await linked(running, origin_text=WHERE, purpose="payment")
    pages = [await visit(running, opened) for opened in (path, UNKNOWN, "/l/x", "/l/%00%ff", "/l/" + "z" * 300)]
    await answer(running, path, issued["match"])
    pages.append(await visit(running, path))
    before = await stored()
    await visit(running, UNKNOWN)
    assert await stored() == before  # an unknown token creates no key but the counter
    assert {status for status, _ in pages} == {200}
    assert len({re.sub(r"(?s)<dl>.*</dl>\n", "", page) for _, page in pages}) == 1
    assert [("<dl>" in page) for _, page in pages] == [True, False, False, False, False, True]


async def test_the_page_says_what_was_asked_for(running):
    """It has brand, purpose, time and the caller's own words, escaped."""
    _, path = await linked(running, origin_text=WHERE, purpose="payment")
    _, page = await visit(running, path)
    assert WHERE not in page
    for shown in (WHERE, running.settings.otp_brand, "<dd><bdi>payment</bdi></dd>", "less than a minute ago", " UTC"):
        assert shown in unescape(page)
    assert "<script" not in page
    assert 'property="og:' not in page
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page)


def shown_in(page):
    """Return the language and the direction of a page."""
    return re.search('<html lang="(.*?)" dir="(.*?)">', page).groups()


@pytest.mark.parametrize("words", [ENGLISH, WORDS["de"], WORDS["ar"]], ids=["en", "de", "ar"])
async def test_a_page_is_in_the_language_of_its_message(start, words, grow_older):
    """Form, faults, second question and ends are in the language of the verification, whatever the default is."""
    running = await start(otp_locale="en" if words is not ENGLISH else "de")
    issued, path = await linked(running, locale=words.language, origin_text=WHERE)
    pages = [
        (words.question, await visit(running, path)),
        (words.malformed, await answer(running, path, "")),
        (words.wrong.format(left=4), await answer(running, path, wrong(issued["match"]))),
        (words.not_me_text, await visit(running, path, "POST", decline="asked")),
        (words.approved.text, await answer(running, path, issued["match"])),
        (words.used.text, await answer(running, path, issued["match"])),
        (words.declined_late.text, await visit(running, path, "POST", decline="confirmed")),
    ]
    issued, path = await linked(running, locale=words.language)
    grow_older(issued["id"], 130)
    _, opened = await visit(running, path)
    assert words.minutes_ago.partition("{time}")[0].format(minutes=2) in unescape(opened)
    pages.append((words.declined.text, await visit(running, path, "POST", decline="confirmed")))
    for text, (_, page) in pages:
        assert text in unescape(page)
        assert shown_in(page) == (words.language, words.direction)


async def test_without_a_verification_the_language_is_the_default(start):
    """The page of an unknown token, and that of a problem, are in the language of OTP_LOCALE."""
    running = await start(otp_locale="de", otp_limit_link="3/1m")
    told = [await visit(running, UNKNOWN), await answer(running, UNKNOWN, "12"), await visit(running, "/l/x")]
    told.append(await visit(running, UNKNOWN))
    assert [status for status, _ in told] == [200, 404, 200, 429]
    assert [shown_in(page) for _, page in told] == [("de", "ltr")] * 4
    assert says(told[-1][1], WORDS["de"].not_now.heading)


def test_every_language_of_the_messages_has_words():
    """The page has words for each language of the messages; the marks of Arabic script run from right to left."""
    assert words_of("xx") is ENGLISH
    assert {words.language for words in WORDS.values()} == set(WORDS) == set(LOCALES)
    assert {language for language, words in WORDS.items() if words.direction == "rtl"} == {"ar", "fa", "he", "ur"}


@pytest.mark.parametrize("locale", LOCALES)
def test_the_words_say_that_they_are_unreviewed(locale):
    """The module of a language says that nobody has reviewed it."""
    module = import_module(f"service.api.pages.link_words.{locale.lower().replace('-', '_')}")
    assert module.WORDS is WORDS[locale]
    assert module.__doc__.endswith(", unreviewed.")


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_every_language_says_all_and_asks_for_nothing_else(words):
    """Each language has every text, of its own, with the same things filled in as English."""
    for name, text in words._asdict().items():
        english = getattr(ENGLISH, name)
        assert text
        if isinstance(text, Ending):
            assert all(text)
            assert text.text.endswith((".", "।", "。", "\u06d4")) or words.language == "th"
        else:
            assert re.findall("{[a-z]*}", text) == re.findall("{[a-z]*}", english) or name.endswith("ago")
            assert set(re.findall("{[a-z]*}", text)) == set(re.findall("{[a-z]*}", english))
        assert words is ENGLISH or name in {"title", "direction"} or text != english


@pytest.mark.parametrize("typed", ["", "1", "123", "ab", "1" * 33, "\uff11"])
async def test_a_malformed_match_changes_nothing(running, stored, typed):
    """Without two digits nothing changes, costs or is confirmed, and the page says what to type."""
    _, path = await linked(running)
    before = await stored()
    for opened in (path, UNKNOWN):
        status, page = await answer(running, opened, typed)
        assert (status, "Type the two digits that the page shows" in page) == (422, True)
    assert (await visit(running, path, "POST"))[0] == 422
    assert await stored() == before


async def test_a_wrong_match_costs_an_attempt_and_confirms_until_locked(running, settled):
    """Each wrong match costs an attempt and its message is confirmed; after the last one nothing approves."""
    issued, path = await linked(running)
    for left in (4, 3, 2, 1):
        _, page = await answer(running, path, wrong(issued["match"]))
        assert f"You have {left} {'try' if left == 1 else 'tries'} left." in page
    for match in (wrong(issued["match"]), issued["match"]):
        assert says((await answer(running, path, match))[1], "Too many wrong tries")
    assert (await running.read(issued["id"]))["status"] == "max_attempts_reached"
    assert await settled(running) == [("confirmed", 1)]


async def test_a_reload_after_a_wrong_match_costs_nothing(running):
    """A wrong match leads to a page that a reload only reads again; of a token that is unknown it shows nothing."""
    issued, path = await linked(running)
    await answer(running, path, wrong(issued["match"]))
    async with running.http.post(path, data={"match": wrong(issued["match"])}, allow_redirects=False) as response:
        assert (response.status, response.headers["location"]) == (303, "?wrong")
        assert response.headers["referrer-policy"] == "no-referrer"
    for _ in range(3):
        status, page = await visit(running, path + "?wrong")
        assert (status, "You have 3 tries left." in page) == (200, True)
    assert (await running.read(issued["id"]))["attempts_remaining"] == 3
    assert (await visit(running, UNKNOWN + "?wrong"))[1] == (await visit(running, UNKNOWN))[1]
    await running.call("POST", f"/v1/verifications/{issued['id']}/cancel")
    assert "alert" not in (await visit(running, path + "?wrong"))[1]


async def test_it_was_not_me_is_asked_once_more(running, settled, stored):
    """The first press changes nothing; the second ends the verification and confirms, and the match is too late."""
    issued, path = await linked(running)
    before = await stored()
    status, page = await visit(running, path, "POST", decline="asked", match=issued["match"])
    assert (status, says(page, "Was it not you?"), await stored() == before) == (200, True, True)
    assert says((await visit(running, path, "POST", decline="confirmed"))[1], "Thank you")
    assert (await running.read(issued["id"]))["status"] == "canceled"
    assert says((await answer(running, path, issued["match"]))[1], "This was ended")
    assert await settled(running) == [("confirmed", 1)]


async def test_it_was_not_me_comes_too_late_after_the_approval(running):
    """An approval is not taken back, and the page says so."""
    issued, path = await linked(running)
    await answer(running, path, issued["match"])
    assert says((await visit(running, path, "POST", decline="confirmed"))[1], "It was confirmed before")
    assert (await running.read(issued["id"]))["status"] == "approved"


async def outlived_by_another(running, grow_older):
    """Let a link expire while a resent one still counts; return (the response, the path of the old page)."""
    issued, old = await linked(running)
    grow_older(issued["id"], 400)
    assert (await running.call("POST", f"/v1/verifications/{issued['id']}/resend"))[0] == 200
    grow_older(issued["id"], 300)
    return issued, old


async def test_it_was_not_me_on_an_expired_link_ends_what_a_newer_link_could_approve(running, grow_older):
    """Whoever presses it on the older message means the verification, so the newer link approves nothing either."""
    issued, old = await outlived_by_another(running, grow_older)
    assert says((await visit(running, old, "POST", decline="confirmed"))[1], "Thank you")
    assert (await running.read(issued["id"]))["status"] == "canceled"
    assert says((await answer(running, path_of(running), issued["match"]))[1], "This was ended")


async def test_it_was_not_me_after_the_end_changes_no_end(running, grow_older):
    """Once no link counts any more, the verification stays expired."""
    issued, path = await linked(running)
    grow_older(issued["id"], 601)
    assert says((await visit(running, path, "POST", decline="confirmed"))[1], "Thank you")
    assert (await running.read(issued["id"]))["status"] == "expired"


async def test_an_expired_link_leads_to_the_newer_one(running, grow_older):
    """Who answers the older message is told to open the newest, not to start again."""
    issued, old = await outlived_by_another(running, grow_older)
    assert says((await answer(running, old, issued["match"]))[1], "There is a newer link")
    assert says((await answer(running, path_of(running), issued["match"]))[1], "Confirmed")


async def test_a_double_tap_approves_once(running, settled):
    """Of many answers at once exactly one approves; the others say that it is confirmed already."""
    issued, path = await linked(running)
    pages = await asyncio.gather(*(answer(running, path, issued["match"]) for _ in range(4)))
    headings = sorted(re.search("<h1>(.*)</h1>", page)[1] for _, page in pages)
    assert headings == ["Already confirmed"] * 3 + ["Confirmed"]
    assert await settled(running) == [("confirmed", 1)]


async def test_the_link_of_another_send_after_the_approval_is_confirmed_too(running, settled):
    """After the approval by one link, the other says so; its message did arrive, so it is confirmed once."""
    issued, _ = await linked(running)
    status, resent, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert (status, "match" in resent) == (200, False)
    first, second = path_of(running, 0), path_of(running, 1)
    assert says((await answer(running, second, issued["match"]))[1], "Confirmed")
    assert says((await answer(running, first, issued["match"]))[1], "Already confirmed")
    assert await settled(running) == [("confirmed", 1)] * 2


async def test_after_cancel_the_link_approves_nothing_but_is_confirmed(running, settled):
    """The caller's cancel ends the link; a person who answers it still shows that the message arrived."""
    issued, path = await linked(running)
    await running.call("POST", f"/v1/verifications/{issued['id']}/cancel")
    assert says((await answer(running, path, issued["match"]))[1], "This was ended")
    assert await settled(running) == [("confirmed", 1)]


async def test_an_unknown_token_is_told_only_after_an_answer(running):
    """A POST with a token that leads nowhere is 404."""
    for form in ({"match": "12"}, {"decline": "confirmed"}):
        status, page = await visit(running, UNKNOWN, "POST", **form)
        assert (status, says(page, "This link does not work any more")) == (404, True)


async def test_after_the_approval_the_page_leads_back(start):
    """The page links to the return address that the issue chose, and sends nobody there by itself."""
    urls = ("https://a.example/x", "https://shop.example/done?a=1&b=2")
    running = await start(otp_link_return_urls=urls)
    issued, path = await linked(running, link_return=1)
    status, page = await answer(running, path, issued["match"])
    assert (status, 'You can go back to <a href="https://shop.example/done?a=1&amp;b=2">shop.example</a>' in page) == (
        200, True,
    )  # fmt: skip
    assert urls[0] not in page
    assert "http-equiv" not in page


async def test_all_methods_share_a_limit_by_address(start):
    """GET, HEAD and POST count together, known token or not; over the limit the page says when to try again."""
    running = await start(otp_limit_link="3/1m", otp_trusted_proxies=1)
    issued, path = await linked(running)
    for method, opened in (("GET", UNKNOWN), ("HEAD", path), ("POST", path)):
        assert (await visit(running, opened, method))[0] in (200, 422)
    async with running.http.post(path, data={"match": issued["match"]}) as response:
        assert (response.status, response.content_type) == (429, "text/html")
        assert int(response.headers["Retry-After"]) > 0
        assert says(await response.text(), "Try again in a moment")
    async with running.http.get(path, headers={"X-Forwarded-For": "192.0.2.7"}) as response:
        assert response.status == 200
    assert (await running.read(issued["id"]))["attempts_remaining"] == 5


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_every_response_has_the_headers_of_a_secret_address(start, method):
    """No page may be cached, found, framed or named to others, not even one of a problem."""
    running = await start(otp_limit_link="1/1m")
    _, path = await linked(running)
    for _ in range(2):
        async with running.http.request(method, path, data={} if method == "POST" else None) as response:
            headers = response.headers
            assert headers["Cache-Control"] == "no-store"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["X-Robots-Tag"] == "noindex"
            policy = headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; style-src 'self'; form-action 'self';")
            assert "unsafe" not in policy


async def test_older_phones_understand_the_style_sheet(running):
    """The style sheet has its colours, light and dark, without `light-dark()`, which phones before 2024 do not know."""
    async with running.http.get("/l/style.css") as response:
        style = await response.text()
        assert (response.status, response.content_type) == (200, "text/css")
    rules = re.sub(r"(?s)/\*.*?\*/", "", style)
    assert "light-dark" not in rules
    light, dark = rules.split("@media (prefers-color-scheme: dark)")
    names = set(re.findall(r"var\((--[a-z-]+)\)", rules))
    for part in (light, dark.partition("\n}\n")[0]):
        assert set(re.findall(r"(--[a-z-]+): #", part)) == names


async def test_no_token_is_in_the_log(start):
    """The request log has the template of the route, for known and unknown tokens and for every method."""
    lines = []
    running = await start(event_log=lambda event, **fields: lines.append((event, fields)))
    issued, path = await linked(running)
    for method in ("GET", "HEAD", "POST", "PUT"):
        for opened in (path, UNKNOWN, path + "/x"):
            await visit(running, opened, method)
    await answer(running, path, issued["match"])
    text = str(lines)
    assert "/l/{token}" in text
    assert path[3:] not in text
    assert UNKNOWN[3:] not in text


async def test_no_spelling_of_a_path_gets_a_token_into_the_log(start, caplog, stored):
    """Whatever a raw request looks like, and whatever becomes of it, neither the log nor Redis has the token."""
    lines = []
    running = await start(event_log=lambda event, **fields: lines.append((event, fields)))
    place = urlsplit(running.url)
    count = 0
    for count, request in enumerate(requests_for_a_link(), 1):  # noqa: B007 - counted
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(request)
        if not request.endswith(b"\r\n\r\n"):
            writer.write_eof()
        with suppress(ConnectionError):
            async with asyncio.timeout(30):
                await reader.read()
        writer.close()
    assert len(lines) >= count * 5 // 6  # all but those that end before their head does
    assert {fields["status"] for event, fields in lines if event == "request"} >= {200, 400, 404, 405, 413}
    for told in (lines, [record.getMessage() for record in caplog.records], await stored()):
        assert TOKEN[1:] not in str(told)


async def test_a_late_match_is_confirmed_and_approves_nothing(running, grow_older, settled):
    """After its end the right match approves nothing, but the message is confirmed, once."""
    issued, path = await linked(running)
    grow_older(issued["id"], 601)
    for _ in range(2):
        assert says((await answer(running, path, issued["match"]))[1], "This link is too old")
    assert await settled(running) == [("confirmed", 1)]


async def test_without_the_sid_the_confirmation_waits_for_it(running, hold, settled):
    """A match typed before Twilio's response, here a wrong one, confirms the message once its SID is known."""
    held = hold(running)
    issuing = asyncio.create_task(running.issue(action="link"))
    held.deliver.set()
    while not running.messages():  # noqa: ASYNC110 - the simulator has no event for it
        await asyncio.sleep(0.01)
    path = path_of(running)
    typed = [await answer(running, path, "00")]  # the match is known only with the response, so this is a guess
    assert typed[0][0] == 200
    held.responds.set()
    await issuing
    assert await settled(running) == [("confirmed", 1)]
