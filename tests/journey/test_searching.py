"""A search by number, for support: what an owner finds, what it is refused, and what it never learns."""

import pytest

from service.app import open_redis
from service.core.api_keys import Scope, new_api_key
from service.logs.event_log import open_event_log
from service.store.ledgers import RedisApiKeys
from tests.attacks.watching import monitored
from tests.conftest import NUMBER, create_key

SEARCH, OTHER_NUMBER = "/v1/verifications/search", "+12025550145"


async def search(running, to=NUMBER, key=None, **fields):
    """Search with an API key; return (status, body)."""
    status, body, _ = await running.call("POST", SEARCH, {"to": to, **fields}, key=key)
    return status, body


async def found(running, to=NUMBER, key=None):
    """Return the verifications that a search finds; its status must be 200."""
    status, body = await search(running, to, key)
    assert (status, list(body)) == (200, ["verifications"])
    return body["verifications"]


async def test_support_finds_the_newest_verifications_of_a_number(start, eventually):
    """A search shows each verification exactly as reading it does, newest first, and no client token."""
    running = await start(sandbox={"delivery_seconds": 30})  # so that no status changes meanwhile
    issued = [await running.issue() for _ in range(3)]
    await running.call("POST", f"/v1/verifications/{issued[0]['id']}/resend")
    await running.verify(issued[1]["id"], running.codes()[1])
    assert await eventually(running.confirmed)
    assert await found(running) == [await running.read(each["id"]) for each in reversed(issued)]
    assert await found(running, OTHER_NUMBER) == []


async def test_an_owner_finds_nothing_of_another_owner(running):
    """Two owners send to one number: each finds its own verifications, a replacement key those of its owner."""
    other = await create_key(running.settings, name="shop")
    replacement, kept = new_api_key("test-2", [Scope.VERIFICATIONS], owner="test")
    async with open_redis(running.settings) as scripts:
        await RedisApiKeys(scripts).add(kept.digest, kept.particulars)
    mine = await running.issue()
    _, theirs, _ = await running.call("POST", "/v1/verifications", {"to": NUMBER}, key=other)
    assert [each["id"] for each in await found(running)] == [mine["id"]]
    assert [each["id"] for each in await found(running, key=other)] == [theirs["id"]]
    assert [each["id"] for each in await found(running, key=replacement)] == [mine["id"]]


async def test_only_an_api_key_with_the_scope_may_search(running):
    """A client token and a key without the scope are refused with 403, a stranger with 401."""
    weak = await create_key(running.settings, Scope.OPERATE, name="weak")
    issued = await running.issue()
    for key, status in ((issued["client_token"], 403), (weak, 403), ("otp_sk_unknown", 401), ("vt_unknown", 403)):
        assert (await search(running, key=key))[0] == status


@pytest.mark.parametrize(
    ("to", "country"), [("+1 (415) 555-0123", None), ("415 555 0123", "US"), ("\u202a+1 415\u00a0555-0123", None)]
)
async def test_a_number_is_read_as_for_an_issue(running, to, country):
    """However a number is written, its verifications are found."""
    issued = await running.issue()
    status, body = await search(running, to, country=country)
    assert (status, [each["id"] for each in body["verifications"]]) == (200, [issued["id"]])


@pytest.mark.parametrize(
    "asked",
    [{"to": "+1415555"}, {"to": "415 555 0123"}, {"to": "+999 1234567"}, {"to": 1}, {}, {"to": NUMBER, "code": "1"}],
)
async def test_what_is_no_number_an_issue_and_a_search_refuse(start, asked):
    """A text that is no number, and a body of the wrong form, are the same 422 as for an issue."""
    running = await start()
    refused = [await running.call("POST", path, asked) for path in (SEARCH, "/v1/verifications")]
    assert [status for status, _, _ in refused] == [422, 422]
    assert refused[0][1]["code"] == refused[1][1]["code"]


@pytest.mark.parametrize(
    ("number", "before", "now"),
    [
        ("+447911123456", {"otp_countries": ""}, {"otp_countries": "US"}),
        ("+442079460123", {"otp_countries": ""}, {"otp_countries": "", "otp_line_types": "mobile"}),
        ("+16215550123", {"otp_extra_prefixes": "+1621:US"}, {}),
    ],
)
async def test_old_verifications_are_found_after_the_settings_change(start, number, before, now):
    """A number to which no codes are sent any more has its verifications found: support may still need them."""
    keys = {name: "k3y-that-two-services-share-" + name[::-1] for name in ("otp_secret_keys", "otp_index_key")}
    issued = await (await start(**keys, **before)).issue(number)
    running = await start(**keys, **now)
    assert (await running.call("POST", "/v1/verifications", {"to": number}))[0] == 422
    assert [each["id"] for each in await found(running, number)] == [issued["id"]]


async def test_a_test_number_is_found(start):
    """A verification of a test number is found as any other."""
    running = await start(otp_test_numbers=f"{NUMBER}:493027")
    issued = await running.issue()
    assert [each["id"] for each in await found(running)] == [issued["id"]]


async def test_searches_are_limited_per_key(start):
    """A key may search as often as it may send, counted apart: searches take no sends away, nor sends searches."""
    running = await start(otp_limit_key="2/1h")
    other = await create_key(running.settings, name="shop")
    assert [(await search(running, f"+1415555012{n}"))[0] for n in range(4)] == [200, 200, 429, 429]
    status, problem, headers = await running.call("POST", SEARCH, {"to": NUMBER})
    assert (status, problem["code"], problem["limit"]) == (429, "rate_limited", "api_key")
    assert int(headers["Retry-After"]) == problem["retry_after"]
    assert (await search(running, key=other))[0] == 200
    assert len([await running.issue(to) for to in (NUMBER, OTHER_NUMBER)]) == 2
    assert (await running.call("POST", "/v1/verifications", {"to": "+12025550146"}))[0] == 429


@pytest.mark.parametrize("known", [True, False])
async def test_every_search_makes_the_same_requests_to_redis(start, known):
    """A search sends Redis a look at the index and at ten records, whether or not another owner knows the number."""
    running = await start(otp_worker=False, otp_limit_key="100/1h", sandbox={"delivery_seconds": 30})
    other = await create_key(running.settings, name="shop")
    await search(running, OTHER_NUMBER, key=other)  # loads the scripts and the keys
    if known:
        await running.issue()
    async with monitored(running.settings.redis_url) as commands:
        assert await found(running, key=other) == []
    assert (commands.count(b'"HGET"'), commands.count(b"EVALSHA")) == (1, 11)


async def test_a_search_names_no_number_in_the_log(start):
    """The request log of a search contains the route, and neither the number nor a part of its end."""
    lines = []
    running = await start(event_log=open_event_log(to=lambda line, _: lines.append(line.decode())))
    await running.issue()
    await found(running)
    await search(running, "+1415555")
    assert any("/v1/verifications/search" in line for line in lines)
    assert not [line for line in lines if "5550123" in line or "1415555" in line]
