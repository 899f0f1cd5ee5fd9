"""Attacks from Twilio's side: forged callbacks (A12), hostile SIDs and redirects (A13)."""

from contextlib import asynccontextmanager
from urllib.parse import urlencode

import pytest
from aiohttp import web

from service.sandbox.signing import sign

SID = "SM" + "ab" * 16
PUBLIC = "https://otp.example.com/base"


@pytest.fixture
async def hooked(start):
    """Run a service whose public URL differs from its listening address, as behind a proxy."""
    return await start(otp_public_url=PUBLIC)


async def post_callback(running, issued, form, *, signed_url=None, signature=None, path=None):
    """Post a callback as Twilio would; return the status."""
    path = path or f"/twilio/status/{issued['id']}/1"
    token = running.settings.twilio_auth_token[0].get_secret_value()
    headers = {"X-Twilio-Signature": sign(token, signed_url or PUBLIC + path, form) if signature is None else signature}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    async with running.http.post(path, data=urlencode(form).encode(), headers=headers) as answer:
        return answer.status


async def first_send(running, issued):
    """Return the first send as the API shows it."""
    return (await running.read(issued["id"]))["sends"][0]


def form_of(running, status="delivered", **fields):
    """Write the form of a callback about the newest message."""
    sid = running.messages()[-1].sid
    return {"AccountSid": "AC" + "5a" * 16, "MessageSid": sid, "MessageStatus": status, "ErrorCode": "", **fields}


async def test_a_genuine_callback_is_accepted_behind_a_proxy(hooked):
    """A12: the signature is checked over the public URL, whatever address received the request."""
    issued = await hooked.issue()
    assert await post_callback(hooked, issued, form_of(hooked)) == 204
    assert (await first_send(hooked, issued))["status"] == "delivered"


async def test_no_forged_callback_changes_anything(hooked):
    """A12: missing, foreign, altered and misdirected signatures get a 403, and the send does not change."""
    issued, other = await hooked.issue(), await hooked.issue()
    path, form = f"/twilio/status/{issued['id']}/1", form_of(hooked, "failed", ErrorCode="30003")
    token = hooked.settings.twilio_auth_token[0].get_secret_value()
    good = sign(token, PUBLIC + path, form)
    flipped = ("B" if good[0] != "B" else "C") + good[1:]
    attempts = [
        {"signature": ""},
        {"signature": flipped},
        {"signature": good[:-2]},
        {"signature": "\u00e4" * 20},
        {"signature": sign("another-token", PUBLIC + path, form)},
        {"signed_url": "http://otp.example.com/base" + path},
        {"signed_url": hooked.url + path},
        {"signed_url": PUBLIC + f"/twilio/status/{other['id']}/1"},
        {"signed_url": PUBLIC + path + "?a=b"},
    ]
    assert [await post_callback(hooked, issued, form, **attempt) for attempt in attempts] == [403] * len(attempts)
    extra = form | {"Extra": "1"}
    assert await post_callback(hooked, issued, extra, signature=good) == 403
    assert await post_callback(hooked, issued, form | {"MessageStatus": "delivered"}, signature=good) == 403
    assert (
        await post_callback(hooked, issued, form, signature=good, path=path.replace(issued["id"], other["id"])) == 403
    )
    assert await post_callback(hooked, issued, form, signature=good, path=path[:-1] + "2") == 403
    for one in (issued, other):
        assert (await first_send(hooked, one))["status"] == "queued"


async def test_without_a_public_url_no_callback_is_accepted(start):
    """A12: a service that requested no callbacks accepts none, signed or not."""
    running = await start(otp_public_url=None)
    issued = await running.issue()
    path = f"/twilio/status/{issued['id']}/1"
    for url in (running.url + path, path, "None" + path):
        assert await post_callback(running, issued, form_of(running), signed_url=url) == 403


async def test_a_replayed_callback_changes_nothing(hooked):
    """A12: a repeated genuine callback, or an older one after the end, gets a 204 and changes nothing."""
    issued = await hooked.issue()
    for status in ("sent", "delivered", "delivered", "sent", "queued", "failed"):
        assert await post_callback(hooked, issued, form_of(hooked, status)) == 204
    assert (await first_send(hooked, issued))["status"] == "delivered"


async def test_a_signed_callback_cannot_give_a_send_another_sid(hooked, eventually):
    """A13: an invalid SID or another send's is ignored; the confirmation goes to the true one."""
    issued = await hooked.issue()
    for sid in (SID, "../../Accounts", "SM" + "g" * 32, "", "SM" + "0" * 31 + "\n", SID + "/../x", SID + "\n"):
        assert await post_callback(hooked, issued, form_of(hooked, MessageSid=sid)) == 204
        assert (await first_send(hooked, issued))["status"] == "queued", sid
    await hooked.verify(issued["id"], *hooked.codes())
    assert await eventually(hooked.confirmed) == {hooked.messages()[0].sid}
    assert [post.sid for post in hooked.sandbox.ledger.feedback()] == [hooked.messages()[0].sid]


@asynccontextmanager
async def recorder(answer):
    """Serve one response to everything; return the URL and the list of received (method, raw path, headers)."""
    seen = []

    async def take(request):
        seen.append((request.method, request.raw_path, dict(request.headers), await request.text()))
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}", seen
    finally:
        await runner.cleanup()


HOSTILE_SIDS = [
    "../../../Messages", "SM%2e%2e%2fAccounts", SID + "/../x", SID + "?a=b", SID + "#", SID + "\n", "//other.example/x",
    "http://127.0.0.1:1/", "", None, 7, ["SM"], "CA" + "ab" * 16, "SM" + "g" * 32, "SM" + "\uff11" * 32,
]  # fmt: skip


async def test_an_invalid_sid_is_never_used_in_a_path(start):
    """A13: an invalid SID leaves the send `unknown`; no path is ever built from it, and the code still works."""
    # A valid one after each: repeated failures of Twilio would halt sending.
    sids = iter([sid for hostile in HOSTILE_SIDS for sid in (hostile, SID)])
    async with recorder(lambda _: web.json_response({"sid": next(sids), "status": "queued"}, status=201)) as (
        url,
        seen,
    ):
        running = await start(twilio_base_url=url)
        for number in range(len(HOSTILE_SIDS)):
            issued = await running.issue(f"+1415555{number:04d}")
            assert issued["sends"][0]["status"] == "unknown"
            code = seen[-1][3].partition("code+is+")[2][:6]
            checked = await running.verify(issued["id"], code)
            assert (checked["verdict"], checked["sends"][0]["feedback"]) == ("approved", "awaiting_sid")
            assert (await running.issue(f"+1415556{number:04d}"))["sends"][0]["status"] == "queued"
    path = f"/2010-04-01/Accounts/{running.settings.twilio_account_sid}/Messages.json"
    assert {(method, raw_path) for method, raw_path, _, _ in seen} == {("POST", path)}
    assert len(seen) == 2 * len(HOSTILE_SIDS)


async def test_redirects_are_not_followed(start):
    """A13: a redirect from Twilio's address is not followed: the other host gets no request and no credentials."""
    redirects = [301, 302, 303, 307, 308]
    statuses = iter(redirects)
    async with recorder(lambda _: web.Response()) as (elsewhere, stolen):
        away = {"Location": f"{elsewhere}/2010-04-01/steal"}
        async with recorder(lambda _: web.Response(status=next(statuses), headers=away)) as (url, seen):
            running = await start(twilio_base_url=url)
            for _ in redirects:
                issued = await running.issue()
                assert issued["sends"][0]["status"] == "unknown"
    assert len(seen) == len(redirects)
    assert stolen == []


async def test_a_redirected_confirmation_stays_pending(start, redis, eventually):
    """A13: a redirect is not a 2xx: the entry stays pending, and is posted to Twilio's address later."""
    async with recorder(lambda _: web.Response()) as (elsewhere, stolen):

        def answer(request):
            if request.path.endswith("/Messages.json"):
                return web.json_response({"sid": SID, "status": "queued"}, status=201)
            return web.Response(status=307, headers={"Location": f"{elsewhere}/steal"})

        async with recorder(answer) as (url, seen):
            running = await start(twilio_base_url=url)
            issued = await running.issue()
            await running.verify(issued["id"], seen[0][3].partition("code+is+")[2][:6])
            assert await eventually(lambda: len(seen) > 1)
            assert seen[1][1].endswith(f"/Messages/{SID}/Feedback.json")
            key = f"otp:{{{issued['id'][3]}}}:outbox"
            assert await eventually(lambda: (redis.hget(key + ":info", SID) or b"").startswith(b"1|"))
            assert redis.zscore(key, SID) is not None
    assert stolen == []
