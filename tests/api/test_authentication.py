"""The promises of `service.http.authentication`: scopes, the bounded copy of the API keys, client tokens."""

import asyncio
import json
import secrets

import pytest

from service.core.api_keys import Scope, key_digest
from service.core.keyring import Keyring
from service.core.limiter import Limiter, LimitPolicy
from service.core.limits import Limited, Limits, Reserved
from service.core.store_health import StoreUnavailable
from service.http.authentication import SECURITY_SCHEMES, Authenticator
from service.http.problems import HttpProblem
from service.http.request import Caller, request_of

ISSUE = "/v1/verifications"
ID = "ve_" + "0" * 32


class Ledger:
    """A store of API keys that counts the reads and can be unavailable."""

    def __init__(self, *names):
        self.kept = {key_digest(name): particulars(name) for name in names}
        self.lookups = 0
        self.is_away = False
        self.silence = None  # reads block until it is set
        self.is_asked = asyncio.Event()

    async def api_keys(self):
        self.lookups += 1
        if self.silence is None:
            await asyncio.sleep(0)
        else:
            self.is_asked.set()
            await self.silence.wait()
        if self.is_away:
            raise StoreUnavailable("HGETALL")
        return dict(self.kept)


class Counter:
    """A limit store that grants a number of units."""

    def __init__(self, most):
        self.left = most
        self.asked = []

    async def reserve(self, units):
        [unit] = units
        self.asked.append((unit.kind, unit.tag))
        self.left -= 1
        return [Reserved(0 if self.left >= 0 else 1500, 1)]


def particulars(name, *scopes):
    """Return the stored fields of a key."""
    return json.dumps({"name": name, "scopes": scopes or ["verifications"], "created_at": "2026"}).encode()


def call_with(access, credential, scheme="Bearer", path=None):
    """Make a request with a credential, and identify it."""
    call = request_of(
        {
            "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "client": ("192.0.2.1", 1),
            "headers": [(b"authorization", f"{scheme} {credential}".encode())],
        },
        None,
    )  # fmt: skip
    call.path_params = path or {"verification_id": ID}
    access.identify(call)
    return call


@pytest.fixture
def now():
    """Return a clock that advances only when a test moves it."""
    return [1000.0]


@pytest.fixture
def build(now):
    """Return a function that makes an authenticator for a ledger, with the clock `now`."""
    keyring = Keyring([secrets.token_bytes(32)], secrets.token_bytes(32))

    def make(ledger, counter=None):
        limiter = Limiter(counter or Counter(10**6), keyring, LimitPolicy(peer=Limits(((1, 1000),))))
        auth = Authenticator(ledger, keyring, limiter, trusted_proxies=0, clock=lambda: now[0])
        return auth, keyring

    return make


async def refusal(access, credential, scheme="Bearer", path=None):
    """Try a credential; return the problem code, or None if it is accepted."""
    try:
        await access.authorize(call_with(access, credential, scheme, path))
    except HttpProblem as problem:
        return problem.code
    return None


async def test_the_copy_of_the_keys_is_read_once_in_30_seconds(build, now):
    """A known key causes no read for 30 s, then one."""
    ledger = Ledger("a")
    access = build(ledger)[0].key(Scope.VERIFICATIONS)
    for now[0] in (1000.0, 1001.0, 1029.9):
        assert await refusal(access, "a") is None
    assert ledger.lookups == 1
    now[0] = 1030.0
    assert await refusal(access, "a") is None
    assert ledger.lookups == 2


async def test_the_first_request_after_a_boot_is_authenticated(build, now):
    """A monotonic clock near zero, as after a boot, does not delay the first read of the keys."""
    now[0] = 0.0
    assert await refusal(build(Ledger("a"))[0].key(Scope.VERIFICATIONS), "a") is None


async def test_a_revoked_key_stops_working_within_30_seconds(build, now):
    """A key that was revoked right after a read is refused at most 30 s later."""
    ledger = Ledger("a")
    access = build(ledger)[0].key(Scope.VERIFICATIONS)
    assert await refusal(access, "a") is None
    ledger.kept.clear()
    now[0] += 29.9
    assert await refusal(access, "a") is None
    now[0] += 0.1
    assert await refusal(access, "a") == "unauthenticated"


async def test_a_new_key_works_within_a_second(build, now):
    """An unknown key causes a read, so that a new key works without a restart."""
    ledger = Ledger("a")
    access = build(ledger)[0].key(Scope.VERIFICATIONS)
    assert await refusal(access, "a") is None
    ledger.kept[key_digest("b")] = particulars("b")
    now[0] += 1.0
    assert await refusal(access, "b") is None


async def test_unknown_keys_cause_at_most_one_look_up_a_second(build, now):
    """However many unknown keys arrive, together or one by one, Redis is read once a second."""
    ledger = Ledger("a")
    access = build(ledger)[0].key(Scope.VERIFICATIONS)
    assert set(await asyncio.gather(*(refusal(access, f"x{i}") for i in range(100)))) == {"unauthenticated"}
    assert ledger.lookups == 1
    for i in range(100):
        now[0] += 0.1
        assert await refusal(access, f"y{i}") == "unauthenticated"
    assert 9 <= ledger.lookups - 1 <= 10


async def test_with_redis_away_a_known_key_works_for_ten_minutes(build, now):
    """Without Redis, the copy serves known keys for 10 minutes; then, and for other keys, the response is 503."""
    ledger = Ledger("a")
    access = build(ledger)[0].key(Scope.VERIFICATIONS)
    assert await refusal(access, "a") is None
    ledger.is_away = True
    for age in (29.9, 30.0, 31.0, 599.9):
        now[0] = 1000.0 + age
        assert await refusal(access, "a") is None
        with pytest.raises(StoreUnavailable):
            await refusal(access, "unknown")
    now[0] = 1600.0
    with pytest.raises(StoreUnavailable):
        await refusal(access, "a")
    ledger.is_away = False
    now[0] += 1.0
    assert await refusal(access, "a") is None


async def test_a_key_revoked_during_an_outage_is_refused_a_second_after_it(build, now):
    """During an outage Redis is tried once a second, so a revoked key is refused as soon as Redis is back."""
    ledger = Ledger("a")
    access = build(ledger)[0].key(Scope.VERIFICATIONS)
    assert await refusal(access, "a") is None
    ledger.is_away = True
    for now[0] in (1100.0, 1100.5, 1101.0):
        assert await refusal(access, "a") is None
    assert ledger.lookups == 1 + 2
    ledger.kept.clear()
    ledger.is_away = False
    now[0] += 1.0
    assert await refusal(access, "a") == "unauthenticated"


async def test_with_redis_silent_known_keys_do_not_wait_for_the_read(build, now):
    """Once Redis is known to be unavailable, one request a second waits for it; others with a known key do not."""
    ledger = Ledger("a")
    access = build(ledger)[0].key(Scope.VERIFICATIONS)
    assert await refusal(access, "a") is None
    ledger.is_away = True
    now[0] += 30.0
    assert await refusal(access, "a") is None
    now[0] += 1.0
    ledger.silence = asyncio.Event()
    asking = asyncio.create_task(refusal(access, "a"))
    async with asyncio.timeout(5):
        await ledger.is_asked.wait()
        assert await asyncio.gather(*(refusal(access, "a") for _ in range(10))) == [None] * 10
    assert not asking.done()
    ledger.silence.set()
    assert await asking is None


async def test_with_redis_silent_waiting_requests_fail_together(build):
    """While Redis does not respond, there is one read a second: waiting requests fail with it, not one by one."""
    ledger = Ledger("a")
    ledger.is_away = True
    access = build(ledger)[0].key(Scope.VERIFICATIONS)
    outcomes = await asyncio.gather(*(refusal(access, f"x{i}") for i in range(50)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    assert {str(outcome) for outcome in outcomes} == {"HGETALL", "the API keys could not be read"}
    assert ledger.lookups == 1


async def test_a_broken_entry_affects_no_other_key(build):
    """A key with broken fields is unknown; all other keys keep working."""
    ledger = Ledger("a")
    ledger.kept[key_digest("b")] = b"{"
    access = build(ledger)[0].key(Scope.VERIFICATIONS)
    assert await refusal(access, "b") == "unauthenticated"
    assert await refusal(access, "a") is None


@pytest.mark.parametrize("scope", Scope)
async def test_a_key_opens_the_endpoints_of_its_scopes_only(build, scope):
    """A key is accepted by the endpoints of its scopes and gets a 403 from the others."""
    ledger = Ledger()
    ledger.kept[key_digest("a")] = particulars("a", scope)
    auth, _ = build(ledger)
    accepted = {wanted for wanted in Scope if await refusal(auth.key(wanted), "a") is None}
    assert accepted == {scope}
    refused = {await refusal(auth.key(wanted), "a") for wanted in set(Scope) - {scope}}
    assert refused == {"insufficient_scope"}


@pytest.mark.parametrize(
    ("scheme", "credential", "code"),
    [
        ("Bearer", "a", None),
        ("bearer", "a", None),
        ("BEARER", " a ", None),
        ("Basic", "a", "unauthenticated"),
        ("", "a", "unauthenticated"),
        ("Bearer", "", "unauthenticated"),
        ("Bearer", "A", "unauthenticated"),
        ("Bearer", "a, Bearer a", "unauthenticated"),
        ("Bearer", "\xff\xfe", "unauthenticated"),
        ("Bearer", "a" * 10_000, "unauthenticated"),
    ],
)
async def test_a_credential_is_read_exactly(build, scheme, credential, code):
    """The scheme is case-insensitive, the key is not; anything else is refused, never a 500."""
    assert await refusal(build(Ledger("a"))[0].key(Scope.VERIFICATIONS), credential, scheme) == code


async def test_a_client_token_opens_its_own_verification_only(build):
    """A client token is accepted for its own id only."""
    auth, keyring = build(Ledger())
    access = auth.key_or_token(Scope.VERIFICATIONS)
    token = keyring.client_token(ID)
    other = {"verification_id": "ve_" + "1" * 32}
    assert await refusal(access, token) is None
    assert await refusal(access, token, path=other) == "unauthenticated"
    assert await refusal(access, token[:-1]) == "unauthenticated"
    assert await refusal(access, "vt_") == "unauthenticated"


async def test_a_client_token_is_not_an_api_key(build):
    """On endpoints for back ends, a client token gets a 403 without a Redis read."""
    ledger = Ledger()
    auth, keyring = build(ledger)
    assert await refusal(auth.key(Scope.VERIFICATIONS), keyring.client_token(ID)) == "insufficient_scope"
    assert ledger.lookups == 0


async def test_the_caller_is_set_and_logged(build):
    """An API key is identified by its digest and logged by its name; a client token by its verification."""
    auth, keyring = build(Ledger("a"))
    for credential, caller in (
        ("a", Caller(scope_id=key_digest("a"), name="a", owner="ca978112ca1b")),
        (keyring.client_token(ID), Caller(scope_id=ID, name="client token", is_front_end=True)),
    ):
        access = auth.key_or_token(Scope.VERIFICATIONS)
        call = call_with(access, credential)
        await access.authorize(call)
        assert call.caller == caller
        assert call.log["api_key"] == caller.name
    access = auth.key(Scope.VERIFICATIONS)
    call = call_with(access, "a")
    await access.authorize(call)
    assert (call.caller.name, call.log["api_key"]) == ("a", "a")


async def test_a_refusal_names_what_is_required(build):
    """A 401 names the scheme; a 403 names the missing scope, or what a client token may do."""
    auth, keyring = build(Ledger("a"))

    async def refused(access, credential):
        with pytest.raises(HttpProblem) as problem:
            await access.authorize(call_with(access, credential))
        return problem.value

    unknown = await refused(auth.key(Scope.VERIFICATIONS), "x")
    assert (unknown.status, dict(unknown.headers)) == (401, {"www-authenticate": "Bearer"})
    for access in (auth.key(Scope.OPERATE), auth.key_or_token(Scope.OPERATE)):
        assert (await refused(access, "a")).detail == "The API key lacks the scope operate. Use one that has it."
    told = (await refused(auth.key(Scope.VERIFICATIONS), keyring.client_token(ID))).detail
    assert told.startswith("A client token may only verify, resend and read its verification.")


def test_an_access_names_its_schemes_and_scope(build):
    """An endpoint for back ends documents the API key, the others also the client token, each with its scope."""
    auth, _ = build(Ledger())
    assert (auth.key(Scope.REPORTS).schemes, auth.key(Scope.REPORTS).scope) == (("apiKey",), Scope.REPORTS)
    either = auth.key_or_token(Scope.VERIFICATIONS)
    assert (either.schemes, either.scope) == (("apiKey", "clientToken"), Scope.VERIFICATIONS)
    assert set(either.schemes) == set(SECURITY_SCHEMES)


async def test_client_tokens_are_limited_by_address_and_invalid_ones_do_not_count(build):
    """The holder of a token is limited by address; requests with guessed tokens do not use up that limit."""
    counter = Counter(1)
    auth, keyring = build(Ledger(), counter)
    access = auth.key_or_token(Scope.VERIFICATIONS)
    assert await refusal(access, "vt_guess") == "unauthenticated"
    assert counter.asked == []
    assert await refusal(access, keyring.client_token(ID)) is None
    with pytest.raises(Limited) as limited:
        await refusal(access, keyring.client_token(ID))
    assert limited.value.retry_after_ms == 1500
    assert counter.asked == [("peer", keyring.limit_tag("peer", "192.0.2.1"))] * 2


async def test_over_http_a_client_token_verifies_resends_and_reads_with_the_number_masked(running, expect):
    """A front end may verify, resend and read its verification, sees two digits, and may not issue or cancel."""
    issued = await running.issue()
    token, one = issued["client_token"], f"{ISSUE}/{issued['id']}"
    for method, path, body in (
        ("GET", one, None),
        ("POST", one + "/resend", None),
        ("POST", one + "/verify", {"code": running.codes()[0]}),
    ):
        status, response, _ = await running.call(method, path, body, key=token)
        assert (status, response["to"]) == (200, "••••••••••23")
        assert "client_token" not in response
    expect(await running.call("POST", one + "/cancel", key=token), 403, "insufficient_scope")
    expect(await running.call("POST", ISSUE, {"to": "+14155550123"}, key=token), 403, "insufficient_scope")
    other = await running.issue()
    expect(await running.call("GET", f"{ISSUE}/{other['id']}", key=token), 401, "unauthenticated")


async def test_over_http_client_tokens_keep_the_limit_of_their_address(start, expect):
    """`OTP_LIMIT_PEER` counts requests with client tokens, and none with API keys."""
    service = await start(otp_limit_peer="2/1m")
    issued = await service.issue()
    one = f"{ISSUE}/{issued['id']}"
    for _ in range(2):
        assert (await service.call("GET", one, key=issued["client_token"]))[0] == 200
    expect(await service.call("GET", one, key=issued["client_token"]), 429, "rate_limited")
    assert (await service.call("GET", one))[0] == 200


async def test_over_http_redis_away_refuses_an_unknown_key_with_503(start, gate, expect, eventually):
    """Without Redis an unknown key gets a 503, because it cannot be checked; a known key works."""
    service = await start(redis_url=gate.url)
    await service.issue()
    await gate.shut()

    async def unavailable():
        response = await service.call("GET", f"{ISSUE}/x", key="otp_sk_new")
        return response if response[0] == 503 else None

    expect(await eventually(unavailable), 503, "store_unavailable")
    expect(await service.call("GET", f"{ISSUE}/x"), 404, "unknown_verification")
    await gate.open()
