"""What a refused or unauthenticated request leaves in Redis: nothing, or a documented and bounded amount.

Each request has its own peer address, `client_ip` and Idempotency-Key: anything that one of them left would add up.
"""

import itertools
import secrets

import pytest

from service.sandbox import FaultPlan

PATH = "/v1/verifications"
NUMBER, OTHER = "+14155550123", "+12025550145"
UNKNOWN = "ve_" + "0" * 32
FLOOD = 25
# Counters grow by digits, and the first response of a kind adds its field.
MOST_BYTES = 512
COUNTERS = b":stats"  # one key in each of the sixteen partitions
# The report's counters: a few keys in each partition, with at most 2,000 combinations of labels and 500 logged sends.
FUNNEL = b":funnel:"
# A used client token leaves one such key for each peer address, for the window of OTP_LIMIT_PEER.
PEER = b"otp:limit:peer:"
MOST_PEER_BYTES = 256
# A verification whose message Twilio did not accept, because it was busy or refused the operator's credentials.
FAILED_SECONDS = 60
HIGH = {f"otp_limit_{name}": "9999/1h" for name in ("number", "ip", "prefix", "country", "day", "key", "peer")}
# Six area codes, each with its own prefix; the rest of the number makes 4,000 others.
_areas = itertools.cycle(("212", "312", "415", "512", "617", "718"))
_addresses = itertools.count(1)


def address():
    """Return an address that no request has had before."""
    number = next(_addresses)
    return f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"


def number():
    """Return a number of a prefix that hardly any request has had before."""
    return f"+1{next(_areas)}{secrets.randbelow(400) + 300}{secrets.randbelow(10_000):04}"


async def send(running, method, path, body=None, *, key=None, **headers):
    """Send one request with a new address and Idempotency-Key; return its status."""
    sent = {"X-Forwarded-For": address(), "Idempotency-Key": secrets.token_hex(8), **headers}
    status, _, _ = await running.call(method, path, body, key=key, headers=sent)
    return status


def held(redis):
    """Return each key's size in bytes."""
    return {key: redis.memory_usage(key, samples=0) or 0 for key in redis.scan_iter()}


async def grown(redis, flood):
    """Run a flood; return the statuses and the added keys; all other growth must be within the constant."""
    statuses = {await flood() for _ in range(2)}  # from now on the counters have their fields
    before = held(redis)
    statuses |= {await flood() for _ in range(FLOOD)}
    after = held(redis)
    others = {key: size for key, size in after.items() if FUNNEL not in key}
    assert sum(size - before.get(key, 0) for key, size in others.items() if key in before) <= MOST_BYTES
    assert all(redis.ttl(key) > 0 for key in after if FUNNEL in key)
    return statuses, {key: size for key, size in others.items() if key not in before and not key.endswith(COUNTERS)}


async def operations(running):
    """List (method, path, request body's media type) of every route in the OpenAPI document."""
    _, document, _ = await running.call("GET", "/openapi.json")
    return [
        (method.upper(), path, next(iter(what.get("requestBody", {}).get("content", {})), None))
        for path, methods in document["paths"].items()
        for method, what in methods.items()
    ]


CREDENTIALS = {  # the Authorization header, given the good API key and a good client token
    "none": lambda _key, _token: "",
    "an unknown key": lambda _key, _token: f"Bearer otp_sk_{secrets.token_urlsafe(32)}",
    "no bearer": lambda key, _token: f"Basic {key}",
    "a made-up token": lambda _key, _token: f"Bearer vt_{secrets.token_urlsafe(24)}",
    "another verification's token": lambda _key, token: f"Bearer {token}",
    "a good key": lambda key, _token: f"Bearer {key}",
}
BODIES = {
    "nothing": None,
    "no JSON": b"{",
    "unknown fields": b'{"surprise": 1}',
    "wrong values": b'{"to": "+1415", "code": "no code", "client_ip": "nowhere"}',
    "a check": b'{"code": "000000"}',
    "too much": b"[" + b" " * 5000,
}


@pytest.mark.parametrize("credential", CREDENTIALS)
async def test_no_route_leaves_anything_of_a_refused_request(start, redis, credential):
    """Every route of the OpenAPI document, with an unknown id in its path: a refused request adds no key."""
    running = await start(**HIGH, otp_trusted_proxies=1, otp_metrics_key=True)
    issued = await running.issue()
    routes = await operations(running)
    assert len(routes) >= 9
    for (method, path, media_type), (body, content) in itertools.product(routes, BODIES.items()):
        path = path.replace("{verification_id}", UNKNOWN).replace("{send_number}", "1")  # noqa: PLW2901

        async def flood(method=method, path=path, media_type=media_type, content=content):
            headers = {
                "Authorization": CREDENTIALS[credential](running.key, issued["client_token"]),
                "X-Forwarded-For": address(), "Idempotency-Key": secrets.token_hex(8),
                "Content-Type": media_type or "application/json", "X-Twilio-Signature": secrets.token_hex(8),
            }  # fmt: skip
            async with running.http.request(method, path, data=content, headers=headers) as response:
                return response.status

        before = held(redis)
        statuses = {await flood() for _ in range(5)}
        added = {key: size for key, size in held(redis).items() if key not in before and not key.endswith(COUNTERS)}
        assert added == {}, (method, path, body, statuses)
        assert statuses <= {200, 400, 401, 403, 404, 413, 415, 422, 503}


async def used_up(running, **_):
    """Use up the limit, which this test has set to one."""
    await running.issue(NUMBER, client_ip="198.51.100.1")


async def failed_check(running, **_):
    """Block new codes for a number."""
    issued = await running.issue(NUMBER)
    code = running.codes()[0]
    await running.verify(issued["id"], "111111" if code != "111111" else "222222")


def refused_issue(to, **fields):
    """Make the flood of issues to a number, each with another person's address unless specified."""

    async def flood(running, _):
        body = {"to": to() if callable(to) else to, "client_ip": address(), **fields}
        return await send(running, "POST", PATH, body)

    return flood


async def resend(running, issued):
    """Request the next send of the current verification."""
    return await send(running, "POST", f"{PATH}/{issued['id']}/resend")


async def resend_by_token(running, issued):
    """Request it as a front end."""
    return await send(running, "POST", f"{PATH}/{issued['id']}/resend", key=issued["client_token"])


async def cancel_by_token(running, issued):
    """Request as a front end what only a back end may do."""
    return await send(running, "POST", f"{PATH}/{issued['id']}/cancel", key=issued["client_token"])


async def check_by_token(running, issued):
    """Check a code, as a front end."""
    return await send(running, "POST", f"{PATH}/{issued['id']}/verify", {"code": "000000"}, key=issued["client_token"])


async def check(running, issued):
    """Check a code."""
    return await send(running, "POST", f"{PATH}/{issued['id']}/verify", {"code": "000000"})


async def ended(running, issued):
    """End the current verification."""
    await running.call("POST", f"{PATH}/{issued['id']}/cancel")


async def locked(running, issued):
    """Use up its attempts."""
    for _ in range(5):
        await running.verify(issued["id"], "000000")


def at_twilio(kind, **particulars):
    """Plan a fault of Twilio for every message."""

    async def plan(running, issued):
        running.sandbox.faults.plan(FaultPlan(endpoint="messages", kind=kind, **particulars))

    return plan


async def halted(running, issued):
    """Make Twilio fail until sending is halted."""
    await at_twilio("500")(running, issued)
    for _ in range(5):
        await running.call("POST", PATH, {"to": number()})


REFUSALS = {  # settings, preparation, the flood, its status
    "limit: number": ({"otp_limit_number": "1/1h"}, used_up, refused_issue(NUMBER), 429),
    "limit: failed checks": ({"otp_limit_failed_checks": "1/1d"}, failed_check, refused_issue(NUMBER), 429),
    "limit: address": ({"otp_limit_ip": "1/1h"}, used_up, refused_issue(number, client_ip="198.51.100.1"), 429),
    "limit: prefix": ({"otp_limit_prefix": "1/1h"}, used_up, refused_issue(NUMBER[:-4] + "0199"), 429),
    "limit: country": ({"otp_limit_country": "1/1h"}, used_up, refused_issue(number), 429),
    "limit: day": ({"otp_limit_day": "1/1h"}, used_up, refused_issue(number), 429),
    "limit: API key": ({"otp_limit_key": "1/1h"}, used_up, refused_issue(number), 429),
    "no number": ({}, used_up, refused_issue("+1415"), 422),
    "no such country": ({"otp_countries": "US"}, used_up, refused_issue("+8613812345678"), 422),
    "no address": ({"otp_require_client_ip": True}, used_up, refused_issue(number, client_ip=None), 422),
    "sending is halted": ({}, halted, refused_issue(number), 503),
    "resend: limit": ({"otp_limit_number": "1/1h"}, None, resend, 429),
    "resend: no sends left": ({"otp_max_sends": 1}, None, resend, 409),
    "resend: ended": ({}, ended, resend, 409),
    "resend: Twilio is busy": ({}, at_twilio("429", seconds=30), resend, 503),
    "resend: sending is halted": ({}, halted, resend, 503),
    "resend by token: limit": ({"otp_limit_number": "1/1h"}, None, resend_by_token, 429),
    "resend by token: ended": ({}, ended, resend_by_token, 409),
    "cancel by token": ({}, None, cancel_by_token, 403),
    "check: no attempts left": ({}, locked, check, 200),
    "check by token: no attempts left": ({}, locked, check_by_token, 200),
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_refused_request_leaves_nothing(start, redis, refusal):
    """However many are refused, with ever new addresses and Idempotency-Keys: no key is left but one per peer."""
    settings, before, flood, expected = REFUSALS[refusal]
    running = await start(**{**HIGH, **settings}, otp_trusted_proxies=1)
    needs_one = before in (None, ended, locked, halted) or "resend" in refusal
    issued = await running.issue(OTHER) if needs_one else None
    if before is not None:
        await before(running, issued=issued)
    statuses, added = await grown(redis, lambda: flood(running, issued))
    assert statuses == {expected}
    peers = {key: size for key, size in added.items() if key.startswith(PEER)}
    assert added == peers
    assert len(peers) <= (FLOOD if "by token" in refusal else 0)
    assert all(size <= MOST_PEER_BYTES for size in peers.values())


@pytest.mark.usefixtures("no_pause_between_probes")
@pytest.mark.parametrize("kind", ["429", "unauthorized"])
async def test_an_unaccepted_message_leaves_its_record_for_a_minute(start, redis, kind):
    """If Twilio is busy or refuses our credentials, an issue leaves its verification for a minute, nothing else."""
    running = await start(**HIGH, otp_trusted_proxies=1)
    await at_twilio(kind, **({"seconds": 30} if kind == "429" else {}))(running, issued=None)
    flood = refused_issue(number)
    statuses, added = await grown(redis, lambda: flood(running, None))
    assert statuses == {503 if kind == "429" else 502}
    assert {key.split(b":")[2] for key in added} == {b"v"}
    assert len(added) == FLOOD
    assert all(0 < redis.ttl(key) <= FAILED_SECONDS for key in added)
