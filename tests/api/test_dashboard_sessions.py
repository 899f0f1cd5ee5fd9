"""Sessions of the dashboard over real HTTP: how they begin, what they may do, when they end, and attacks on them."""

import asyncio
import re
from collections import Counter

import pytest

from service.core.api_keys import Scope, key_digest
from service.http import authentication
from tests.conftest import create_key

SESSION, STATE = "/dashboard/session", "/dashboard/state"
RETRY, RELEASE = "/dashboard/confirmations/retry", "/dashboard/numbers/release"
OWN = {"Sec-Fetch-Site": "same-origin"}


class Operator:
    """A browser with the page open: keeps its cookie and CSRF token, and shows what each response was."""

    def __init__(self, running, host=None, **headers):
        self._running = running
        self.cookie = self.set_cookie = ""
        self.csrf_token = ""
        self._sent = {**OWN, **({"Host": host} if host else {}), **headers}

    async def call(self, method, path, body=None, **headers):
        """Make one request; return (status, JSON or None)."""
        sent = {**self._sent, **headers}
        if self.cookie:
            sent.setdefault("Cookie", self.cookie)
        if self.csrf_token and method != "GET":
            sent.setdefault("X-CSRF-Token", self.csrf_token)
        async with self._running.http.request(method, path, json=body, headers=sent) as response:
            text = await response.text()
            self.set_cookie = response.headers.get("Set-Cookie", "")
            if self.set_cookie:
                self.cookie = self.set_cookie.partition(";")[0]
            return response.status, await response.json(content_type=None) if text else None

    async def sign_in(self, key=None):
        """Sign in; return (status, JSON)."""
        status, body = await self.call("POST", SESSION, {"api_key": key or self._running.key})
        self.csrf_token = body.get("csrf_token", "")
        return status, body


@pytest.fixture
async def operator(running):
    """Return a signed-in operator whose key has every scope."""
    signed_in = Operator(running)
    assert (await signed_in.sign_in())[0] == 200
    return signed_in


async def test_an_operator_signs_in_and_out(running, operator, redis):
    """A sign-in sets a cookie that scripts cannot read; the page is told who it is; after a sign-out nothing works."""
    assert re.fullmatch(
        r"otp_dashboard_local_\d+=[\w-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax", operator.set_cookie
    )
    _, shown = await operator.call("GET", SESSION)
    assert (shown["signed_in"], shown["name"], shown["may_operate"]) == (True, "test", True)
    assert 43_000 < shown["expires_in"] <= 43_200
    assert (await operator.call("GET", STATE))[0] == 200
    before = operator.cookie
    assert await operator.call("DELETE", SESSION) == (204, None)
    assert re.fullmatch(r"otp_dashboard_local_\d+=", operator.cookie)
    assert (await operator.call("GET", STATE, Cookie=before))[1]["code"] == "unauthenticated"
    assert list(redis.scan_iter("otp:session:*")) == []


async def test_data_needs_a_session(running, operator):
    """Without a session there are no figures, also with an API key; with one they are those of the API."""
    for path in (STATE, "/dashboard/reports/conversion", "/dashboard/reports/unconverted"):
        assert (await Operator(running).call("GET", path))[1]["code"] == "unauthenticated"
        assert (await running.call("GET", path))[0] == 401
        assert (await operator.call("GET", path))[0] == 200
    await running.issue()
    asked = "reports/conversion?since=1h&group_by=purpose"
    _, shown = await operator.call("GET", f"/dashboard/{asked}")
    _, of_api, _ = await running.call("GET", f"/v1/{asked}")
    assert [group["sends"]["total"] for group in shown["groups"]] == [1]
    assert shown.keys() == of_api.keys()


async def test_sessions_work_where_cors_is_on(start):
    """With OTP_CORS_ORIGINS an operator signs in and out as elsewhere, and a listed origin still cannot act."""
    running = await start(otp_cors_origins="https://shop.example")
    operator = Operator(running, Origin=running.url)
    assert (await operator.sign_in())[0] == 200
    assert (await operator.call("POST", RETRY, {}))[0] == 200
    listed = {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}
    assert (await operator.call("POST", RETRY, {}, **listed))[0] == 403
    assert (await operator.call("DELETE", SESSION))[0] == 204
    assert re.fullmatch(r"otp_dashboard_local_\d+=", operator.cookie)


async def test_redis_has_no_token(operator, redis):
    """Redis has an HMAC of the token and the digest of the key, for at most 12 hours, and neither token nor key."""
    [key] = redis.scan_iter("otp:session:*")
    token = operator.cookie.partition("=")[2]
    assert 0 < redis.ttl(key) <= 12 * 3600
    assert redis.get(key).decode() == key_digest(operator._running.key)
    assert token not in key.decode()
    assert operator.csrf_token not in key.decode()


@pytest.mark.parametrize(
    ("headers", "encrypted"),
    [
        ({"Host": "otp.example.com"}, False),
        ({"Host": "10.0.0.7:8000"}, False),
        ({"Host": "localhost.example.com"}, False),
        ({"Host": "otp.example.com", "X-Forwarded-Proto": "https"}, True),
        ({"Host": "otp.example.com", "X-Forwarded-Proto": "https, http"}, False),  # the trusted proxy's is the last
    ],
)
async def test_no_key_is_taken_over_plain_http(start, headers, encrypted):
    """Over plain http only a browser on this machine may sign in, elsewhere the page says so; over TLS anyone may."""
    running = await start(otp_trusted_proxies=1)
    operator = Operator(running, **headers)
    shown = (await operator.call("GET", SESSION))[1]
    assert (shown["signed_in"], shown["refusal"] is None) == (False, encrypted)
    status, body = await operator.sign_in()
    assert (status, body.get("code")) == ((200, None) if encrypted else (403, "dashboard_refused"))
    if encrypted:
        assert re.fullmatch(
            r"__Host-otp_dashboard=[\w-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure",
            operator.set_cookie,
        )
        plain = operator.cookie.replace("__Host-otp_dashboard", "otp_dashboard_local")
        assert (await operator.call("GET", STATE, Cookie=plain))[0] == 401


async def test_without_a_trusted_proxy_nobody_can_claim_tls(running):
    """A forged X-Forwarded-Proto does not make a connection encrypted."""
    operator = Operator(running, host="otp.example.com", **{"X-Forwarded-Proto": "https"})
    assert (await operator.sign_in())[0] == 403


@pytest.mark.parametrize("name", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
async def test_a_tunnel_ends_at_this_machine(running, name):
    """A browser that opened localhost, as through an SSH tunnel, may sign in."""
    assert (await Operator(running, host=name).sign_in())[0] == 200


async def test_a_session_cannot_be_fixed(running, operator, redis):
    """A token that a browser brings is never adopted, and a sign-in ends the session that the browser had."""
    visitor = Operator(running)
    visitor.cookie = operator.cookie.partition("=")[0] + "=" + "A" * 43
    assert (await visitor.sign_in())[0] == 200
    assert "A" * 43 not in visitor.cookie
    first, operator_again = operator.cookie, operator
    assert (await operator_again.sign_in())[0] == 200
    assert (await operator.call("GET", STATE, Cookie=first))[0] == 401
    assert len(list(redis.scan_iter("otp:session:*"))) == 2


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "otp.internal.example"])
async def test_services_on_two_ports_of_a_host_keep_their_sessions(start, host):
    """Browsers send a cookie to every port of its host: two tunnels to two services do not sign each other out."""
    running = await start(otp_trusted_proxies=1)
    jar, proto = {}, {"X-Forwarded-Proto": "https"} if host.startswith("otp.") else {}
    for place in (host, f"{host}:8000", f"{host}:8001"):
        one = Operator(running, host=place, **proto)
        one.cookie = "; ".join(jar.values())
        assert (await one.sign_in())[0] == 200
        jar[place] = one.set_cookie.partition(";")[0]
    assert len({cookie.partition("=")[0] for cookie in jar.values()}) == 3
    for place in jar:
        one = Operator(running, host=place, **proto)
        assert (await one.call("GET", STATE, Cookie="; ".join(jar.values())))[0] == 200


async def test_two_cookies_of_the_name_are_no_session(operator):
    """When another page of the machine has added a cookie of the same name, neither counts."""
    doubled = f"{operator.cookie.partition('=')[0]}={'B' * 43}; {operator.cookie}"
    assert (await operator.call("GET", STATE, Cookie=doubled))[0] == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "A" * 43},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another port of the same machine
        {"Origin": "http://localhost:9999"},
        {"Origin": "null"},
        {"Content-Type": "text/plain"},  # what a form of another site can send
    ],
)
async def test_another_site_changes_nothing(running, operator, redis, headers):
    """With the cookie alone, no page of another site or port can release a number, retry, sign out or sign in."""
    await running.issue()
    before = {key: redis.dump(key) for key in redis.scan_iter("otp:{*}:to:*")}
    for method, path, body in (
        ("POST", RELEASE, {"to": "+14155550123"}),
        ("POST", RETRY, {}),
        ("DELETE", SESSION, None),
    ):
        if body is None and "Content-Type" in headers:
            continue
        status, problem = await operator.call(method, path, body, **headers)
        assert (status, problem["code"]) in ((403, "dashboard_refused"), (415, "unsupported_media_type")), path
    if "X-CSRF-Token" not in headers:
        assert (await operator.call("POST", SESSION, {"api_key": running.key}, **headers))[0] in (403, 415)
    assert {key: redis.dump(key) for key in redis.scan_iter("otp:{*}:to:*")} == before
    assert (await operator.call("GET", STATE))[0] == 200


async def test_the_csrf_token_belongs_to_one_session(running, operator):
    """The token of one session does not serve another one."""
    other = Operator(running)
    await other.sign_in()
    status, _ = await operator.call("POST", RETRY, {}, **{"X-CSRF-Token": other.csrf_token})
    assert status == 403
    assert other.csrf_token != operator.csrf_token


async def test_guesses_are_throttled(running, redis):
    """After ten tries of an address in ten minutes even a right key is refused, and other addresses are not."""
    attacker = Operator(running)
    answers = [(await attacker.sign_in(f"otp_sk_{number:043}"))[0] for number in range(10)]
    assert answers == [401] * 10
    status, body = await attacker.sign_in()
    assert (status, body["code"], "limit" in body) == (429, "rate_limited", False)
    assert (await attacker.call("GET", STATE))[0] == 401
    assert list(redis.scan_iter("otp:session:*")) == []


async def test_guesses_at_once_are_throttled_too(running):
    """Of many tries at the same moment, each claiming another address, ten are looked at and the others are not."""
    guesses = [
        Operator(running, **{"X-Forwarded-For": f"192.0.2.{number}"}).sign_in(f"otp_sk_{number:043}")
        for number in range(30)
    ]
    statuses = [status for status, _ in await asyncio.gather(*guesses)]
    assert Counter(statuses) == {401: 10, 429: 20}


async def test_a_key_needs_the_scope(running):
    """A key without `reports` cannot sign in; one without `operate` can look, and change nothing."""
    issues = await create_key(running.settings, Scope.VERIFICATIONS, name="issues")
    reads = await create_key(running.settings, Scope.REPORTS, name="reads")
    assert (await Operator(running).sign_in(issues))[1]["code"] == "insufficient_scope"
    looks = Operator(running)
    status, shown = await looks.sign_in(reads)
    assert (status, shown["may_operate"]) == (200, False)
    assert (await looks.call("GET", STATE))[0] == 200
    for path, body in ((RETRY, {}), (RELEASE, {"to": "+14155550123"})):
        assert (await looks.call("POST", path, body))[1]["code"] == "insufficient_scope"


async def test_a_session_ends_after_its_time(operator, redis):
    """Twelve hours after the sign-in the session has ended, however much it was used: use does not prolong it."""
    [key] = redis.scan_iter("otp:session:*")
    redis.expire(key, 60)  # as if almost twelve hours had passed
    for path in (STATE, SESSION):
        assert (await operator.call("GET", path))[0] == 200
    assert (await operator.call("POST", RETRY, {}))[0] == 200
    assert redis.ttl(key) <= 60
    redis.expire(key, 0)
    assert (await operator.call("GET", STATE))[1]["code"] == "unauthenticated"
    assert (await operator.call("POST", RETRY, {}))[0] == 401
    assert (await operator.call("GET", SESSION))[1]["signed_in"] is False


async def test_a_revoked_key_ends_its_sessions(running, operator, redis, monkeypatch):
    """Within 30 s of the revocation of its key a session has ended, and it does not come back with a new key."""
    redis.hdel("otp:keys", key_digest(running.key))
    assert authentication._OLDEST_SECONDS == 30
    for pause in ("_OLDEST_SECONDS", "_PAUSE_SECONDS"):  # as if the copy of the keys had become 30 s old
        monkeypatch.setattr(authentication, pause, 0.0)
    assert (await operator.call("GET", STATE))[0] == 401
    assert (await operator.call("GET", SESSION))[1]["signed_in"] is False
    assert list(redis.scan_iter("otp:session:*")) == []


async def test_no_secret_is_logged(start):
    """No event has the key, the token of the session or its CSRF token; the sign-in has the name of the key."""
    events = []
    running = await start(event_log=lambda event, **fields: events.append((event, fields)))
    operator = Operator(running)
    await operator.sign_in()
    await operator.call("GET", STATE)
    await operator.call("POST", RELEASE, {"to": "+14155550123"})
    told = str(events)
    for secret in (running.key, operator.cookie.partition("=")[2], operator.csrf_token, "4155550123"):
        assert secret not in told
    routes = {fields["route"]: fields.get("api_key") for event, fields in events if event == "request"}
    assert routes == {SESSION: "test", STATE: "test", RELEASE: "test"}
    [action] = [fields for event, fields in events if event == "dashboard_action"]
    assert (action["operation"], action["api_key"], action["outcome"]) == ("numbers release", "test", "done")
    assert len(action["number_tag"]) == 8


async def test_an_operator_releases_a_number(start, redis):
    """A release lifts the locks of the number, and says when there was nothing to release."""
    running = await start(otp_limit_number="1/1h")
    operator = Operator(running)
    await operator.sign_in()
    assert await operator.call("POST", RELEASE, {"to": "+1 415 555 0123"}) == (200, {"released": False})
    await running.issue()
    assert (await running.call("POST", "/v1/verifications", {"to": "+14155550123"}))[0] == 429
    assert await operator.call("POST", RELEASE, {"to": "+1 415 555 0123"}) == (200, {"released": True})
    await running.issue()
    assert (await operator.call("POST", RELEASE, {"to": "no number"}))[0] == 422


async def test_an_operator_retries_a_failed_confirmation(running, operator, eventually):
    """A confirmation that Twilio refused is listed with its reason; a retry delivers it."""
    async with running.http.post(
        f"{running.sandbox_url}/_/faults", json={"endpoint": "feedback", "kind": "not_found", "count": 1}
    ) as response:
        assert response.status < 300, await response.text()
    issued = await running.issue()
    await running.verify(issued["id"], running.codes()[0])

    async def failed():
        return (await operator.call("GET", STATE))[1]["failed"]

    [entry] = await eventually(failed)
    assert (entry["verification_id"], entry["send"]) == (issued["id"], 1)
    assert "404" in entry["reason"]
    assert await operator.call("POST", RETRY, {"sids": ["SM" + "0" * 32]}) == (200, {"retried": []})
    assert await operator.call("POST", RETRY, {"sids": [entry["sid"]]}) == (200, {"retried": [entry["sid"]]})
    assert await eventually(lambda: running.confirmed() == {entry["sid"]}, seconds=30)
    assert await failed() == []


async def test_without_redis_nobody_is_signed_in(start, gate):
    """While Redis is unavailable, nobody can sign in and no session works: 503, never 200."""
    running = await start(redis_url=f"{gate.url}/0")
    operator = Operator(running)
    await operator.sign_in()
    await gate.shut()
    assert (await operator.call("GET", STATE))[0] == 503
    assert (await Operator(running).sign_in())[0] == 503
    await gate.open()
