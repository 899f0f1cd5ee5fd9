"""Access (A14): credentials that are absent, wrong, revoked, insufficient or another verification's."""

import asyncio
import itertools
import json
import secrets
import time

from multidict import CIMultiDict

from service.core.api_keys import Scope, new_api_key
from service.http import authentication as auth
from service.http.authentication import key_digest
from tests.attacks.watching import monitored

TWILIO = {
    "/twilio/status/{verification_id}/{send_number}",
    "/twilio/call/{verification_id}/{send_number}",
    "/twilio/spoken/{verification_id}/{send_number}",
    "/twilio/message",
    "/twilio/voice",
    "/twilio/voice/{try_number}",
}
OPEN = {"/livez", "/readyz", "/metrics", *TWILIO}


def add_key(redis, *scopes, name="another"):
    """Add an API key as `otp-service keys create` does; return it."""
    key = "otp_sk_" + secrets.token_urlsafe(32)
    redis.hset("otp:keys", key_digest(key), json.dumps({"name": name, "scopes": scopes, "created_at": "2026-01-01"}))
    return key


async def status_with(running, authorization, method="GET", path="/v1/verifications/ve_" + "0" * 32, **options):
    """Make a call with this Authorization header, None for no header; return the status."""
    headers = {} if authorization is None else {"Authorization": authorization}
    async with running.http.request(method, path, headers=headers, **options) as response:
        assert (response.status == 401) == ("WWW-Authenticate" in response.headers)
        return response.status


async def test_every_protected_route_requires_a_credential(running):
    """A14: of all documented routes only probes, metrics and Twilio's webhooks do not return 401 without one."""
    async with running.http.get("/openapi.json") as response:
        paths = (await response.json())["paths"]
    closed = [(path, method) for path, endpoints in paths.items() for method in endpoints if path not in OPEN]
    assert len(closed) >= 5
    for path, method in closed:
        filled = path.replace("{verification_id}", "ve_" + "0" * 32)
        assert await status_with(running, None, method, filled, json={"code": "123456"}) == 401, path
    for path in TWILIO:
        filled = path.replace("{verification_id}", "ve_0").replace("{send_number}", "1").replace("{try_number}", "1")
        assert await status_with(running, None, "POST", filled, data={"MessageSid": "SM"}) == 403, path


async def test_two_credentials_are_refused_on_every_route(running):
    """Whichever of two Authorization headers is valid, the response is 400: a proxy may have checked the other one."""
    async with running.http.get("/openapi.json") as response:
        paths = (await response.json())["paths"]
    own, other = f"Bearer {running.key}", "Bearer otp_sk_other"
    for path, endpoints in paths.items():
        for method, pair in itertools.product(endpoints, [(own, other), (other, own), (own, own)]):
            headers = CIMultiDict(("Authorization", one) for one in pair)
            filled = path.replace("{verification_id}", "ve_" + "0" * 32)
            async with running.http.request(method, filled, headers=headers, json={"code": "123456"}) as response:
                problem = await response.json(content_type="application/problem+json")
                assert (response.status, problem["code"]) == (400, "malformed_request"), path


async def test_only_a_bearer_key_in_the_header_is_accepted(running):
    """A14: other schemes, places and altered keys get a 401; the scheme is case-insensitive (RFC 9110 11.1)."""
    key = running.key
    known = 404  # accepted: only the verification is unknown
    assert await status_with(running, f"Bearer {key}") == known
    assert await status_with(running, f"bearer {key}") == known
    refused = [
        None, "", key, "Bearer", "Bearer ", f"Basic {key}", f"Token {key}", f"Bearer{key}", f"Bearer {key}x",
        f"Bearer {key[:-1]}", f"Bearer {key.upper()}", f"Bearer {key},{key}", f"Bearer {key} {key}", f'Bearer "{key}"',
        f"Bearer {key.removeprefix('otp_sk_')}", f"Bearer {key_digest(key)}", "Bearer null", "Bearer \u00e4\u00f6",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.", "Bearer vt_", "Bearer otp_sk_",
    ]  # fmt: skip
    assert [await status_with(running, one) for one in refused] == [401] * len(refused)
    path = "/v1/verifications/ve_" + "0" * 32
    for query in (f"?access_token={key}", f"?api_key={key}", f"?Authorization=Bearer%20{key}"):
        assert await status_with(running, None, path=path + query) == 401


async def test_a_key_may_do_only_what_its_scopes_allow(running, redis, eventually):
    """A14: a key for reports or operation can neither issue nor verify."""
    issued = await running.issue()
    path = f"/v1/verifications/{issued['id']}"
    for key in [add_key(redis, scope, name=scope) for scope in ("reports", "operate")]:
        assert await eventually(lambda key=key: is_refused(running, key, path))
        for method, endpoint, body in (("POST", "/verify", {"code": "123456"}), ("POST", "/resend", None)):
            assert (await running.call(method, path + endpoint, body, key=key))[0] == 403
        assert (await running.call("POST", "/v1/verifications", {"to": "+12025550123"}, key=key))[0] == 403
    assert (await running.read(issued["id"]))["attempts_remaining"] == 5
    assert len(running.sandbox.ledger.messages()) == 1


async def is_refused(running, key, path):
    """Return whether a key is known but lacks the scope."""
    return (await running.call("GET", path, key=key))[0] == 403


async def test_a_client_token_is_valid_for_its_verification_only(running):
    """A14: another verification's token gets a 401; its own may verify, resend and read, but not issue or cancel."""
    mine, other = await running.issue(), await running.issue("+12025550123")
    token = mine["client_token"]
    altered = [token[:-1] + ("A" if token[-1] != "A" else "B"), token + "A", token[:-1], other["client_token"]]
    for wrong in altered:
        status, _, _ = await running.call("GET", f"/v1/verifications/{mine['id']}", key=wrong)
        assert status == 401, wrong
    for endpoint in ("verify", "resend"):
        path = f"/v1/verifications/{other['id']}/{endpoint}"
        assert (await running.call("POST", path, {"code": "123456"}, key=token))[0] == 401
    assert (await running.call("POST", f"/v1/verifications/{mine['id']}/cancel", key=token))[0] == 403
    assert (await running.call("POST", "/v1/verifications", {"to": "+12025550123"}, key=token))[0] == 403
    status, body, _ = await running.call("GET", f"/v1/verifications/{mine['id']}", key=token)
    assert (status, body["to"]) == (200, "\u2022" * 10 + "23")
    assert (await running.read(other["id"]))["attempts_remaining"] == 5


async def test_unknown_keys_cause_at_most_one_read_a_second(start):
    """A14: a flood of unknown keys reads the key store once a second, however many they are."""
    running = await start(otp_worker=False)
    async with monitored(running.settings.redis_url) as commands:
        started = time.monotonic()
        statuses = await asyncio.gather(*(status_with(running, f"Bearer otp_sk_{number}") for number in range(300)))
        seconds = time.monotonic() - started
    assert set(statuses) == {401}
    assert 1 <= commands.count(b"HGETALL", b"otp:keys") <= seconds + 2


async def test_an_unknown_key_refreshes_revoked_keys(running, redis, eventually):
    """A14: a revocation takes effect at the next read of the key store, and an unknown key causes one."""
    key = add_key(redis, "verifications")
    path = "/v1/verifications/ve_" + "0" * 32

    async def status():
        return await status_with(running, f"Bearer {key}", path=path)

    async def is_known():
        return await status() == 404

    async def is_revoked():
        await status_with(running, "Bearer otp_sk_unknown")
        return await status() == 401

    assert await eventually(is_known)
    redis.hdel("otp:keys", key_digest(key))
    assert await eventually(is_revoked)
    assert await status_with(running, f"Bearer {running.key}", path=path) == 404


async def test_a_revoked_key_is_refused_in_time(running, redis, eventually, monkeypatch):
    """A14: without other requests a revoked key works only until the copy of the keys reaches its maximum age."""
    assert auth._OLDEST_SECONDS == 30
    monkeypatch.setattr(auth, "_OLDEST_SECONDS", 1.5)
    key = add_key(redis, "verifications")

    async def has(status):
        return await status_with(running, f"Bearer {key}") == status

    assert await eventually(lambda: has(404))
    redis.hdel("otp:keys", key_digest(key))
    assert await eventually(lambda: has(401), seconds=10)


async def test_another_keys_verification_is_unknown(running, redis):
    """A14, A5: a verification is a 404 to every other API key, costs it nothing, and stays its owner's."""
    other = add_key(redis, "verifications")
    issued = await running.issue()
    [code], one = running.codes(), f"/v1/verifications/{issued['id']}"
    for method, path, body in (
        ("GET", one, None),
        ("POST", one + "/verify", {"code": code}),
        ("POST", one + "/verify", {"code": "000000" if code != "000000" else "111111"}),
        ("POST", one + "/resend", None),
        ("POST", one + "/cancel", None),
    ):
        status, problem, _ = await running.call(method, path, body, key=other)
        assert (status, problem["code"]) == (404, "unknown_verification"), path
    assert (await running.read(issued["id"]))["attempts_remaining"] == 5
    assert len(running.messages()) == 1
    assert (await running.verify(issued["id"], code))["verdict"] == "approved"


async def test_a_replacement_key_finds_the_verifications_of_the_old_one(running, redis):
    """During a key's replacement, the new key with the same owner can use the old key's verifications."""
    key, kept = new_api_key("test-2", [Scope.VERIFICATIONS], owner="test")
    redis.hset("otp:keys", kept.digest, json.dumps(dict(kept.particulars)))
    issued = await running.issue()
    status, response, _ = await running.call("GET", f"/v1/verifications/{issued['id']}", key=key)
    assert (status, response["status"]) == (200, "pending")
