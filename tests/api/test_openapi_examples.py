"""The promises of `service.api.v1.examples`: the documented examples are what the service accepts and returns."""

import asyncio
import copy
import json
import re

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from twilio.request_validator import RequestValidator

from service.core.actions import ACTIONS, Action
from service.core.api_keys import Scope
from service.core.checking import Checking
from service.core.sender import Refusal
from service.http.problem_catalogue import CATALOGUE
from tests.conftest import NUMBER, create_key
from tests.every_channel import offering_every_channel
from tests.records import RawRecord

PROBLEM = "application/problem+json"
ISSUE = "/v1/verifications"
ONE = "/v1/verifications/{verification_id}"
UNKNOWN = f"{ISSUE}/ve_{'0' * 32}"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def fits(document):
    """Return `fits(value, schema)`, which fails if a value does not match a schema of the document."""

    def look(value, schema):
        within = {**schema, "components": document["components"]}
        OAS31Validator(within, format_checker=oas31_format_checker).validate(value)

    return look


@pytest.fixture
def example(document):
    """Return `example(method, path, status, name)`: the value of a response's example."""

    def find(method, path, status, name):
        contents = document["paths"][path][method]["responses"][str(status)]["content"]
        [content] = (content for media_type, content in contents.items() if media_type != "text/csv")
        return content["examples"][name]["value"]

    return find


def requests(operations):
    """List (method, path, operation, media type, body) for each example request and each route without one."""
    for method, path, operation in operations:
        content = operation.get("requestBody", {}).get("content", {None: {"examples": {None: {"value": None}}}})
        for media_type, shown in content.items():
            for given in shown["examples"].values():
                yield method, path, operation, media_type, given["value"]


async def send(running, method, path, media_type, body):
    """Send an example as its endpoint expects it: with the API key, or form-encoded and signed like Twilio's."""
    if media_type == FORM:
        signature = RequestValidator("sandbox-auth-token").compute_signature(running.url + path, body)
        async with running.http.post(path, data=body, headers={"X-Twilio-Signature": signature}) as response:
            return response.status, await response.text(), response.headers
    headers = {"Authorization": f"Bearer {running.key}"}
    async with running.http.request(method, path, json=body, headers=headers) as response:
        return response.status, await response.text(), response.headers


async def test_every_example_request_gets_the_documented_response(start, operations, fits):
    """Each example request succeeds unchanged; status, type, headers and body are as documented."""
    running, sent = await offering_every_channel(start)(), []
    for method, path, operation, media_type, body in requests(operations):
        issued = await running.issue(**({"action": "password"} if "password" in (body or {}) else {}))
        address = (
            path.replace("{verification_id}", issued["id"]).replace("{send_number}", "1").replace("{try_number}", "1")
        )
        status, text, headers = await send(running, method, address, media_type, body)
        assert status < 300, (path, text)
        documented = operation["responses"][str(status)]
        for name in set(documented["headers"]) - {"Idempotent-Replayed"}:
            assert headers[name]
        if "content" in documented:
            media_type_of_response = headers["Content-Type"].partition(";")[0]
            schema = documented["content"][media_type_of_response]["schema"]
            fits(json.loads(text) if "json" in media_type_of_response else text, schema)
        assert bool(text) == ("content" in documented)
        sent.append(operation["operationId"])
    assert len(sent) >= len(operations) + 4  # three ways to issue, two to verify, two callbacks


async def test_an_example_check_with_the_sent_code_is_approved(running, document):
    """The example checks approve the verification if their code is the one that was sent."""
    examples = document["paths"][f"{ONE}/verify"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    for shown in examples.values():
        action = Action.PASSWORD if "password" in shown["value"] else Action.CODE
        issued = await running.issue(action=action)
        [secret] = ACTIONS[action].found_in(running.messages()[-1].body)
        body = {**shown["value"], str(action): secret}
        _, checked, _ = await running.call("POST", f"{ISSUE}/{issued['id']}/verify", body)
        assert (checked["valid"], checked["verdict"]) == (True, "approved")


async def test_every_example_fits_its_schema(operations, fits):
    """Each example of a request, response or problem is valid under the schema next to it."""
    looked_at = 0
    for _, _, operation in operations:
        for part in [operation.get("requestBody", {}), *operation["responses"].values()]:
            for content in part.get("content", {}).values():
                for shown in content["examples"].values():
                    fits(shown["value"], content["schema"])
                    looked_at += 1
    assert looked_at > 100


def stable(response):
    """Remove what differs between verifications: ids, tokens, and instants and waits that are not null."""
    kept = copy.deepcopy(response)
    for part in [kept, *kept.get("sends", [])]:
        for name in part:
            is_time = name.endswith(("_at", "_in"))
            if name in ("id", "client_token", "verification_id") or (is_time and part[name] is not None):
                part[name] = "…"
    return kept


async def delivered(running, verification_id, eventually):
    """Wait until the first message is delivered."""

    async def arrived():
        return (await running.read(verification_id))["sends"][0]["status"] == "delivered"

    assert await eventually(arrived)


async def test_the_examples_of_an_approval_are_real(start, example, eventually):
    """Issue, resend, wrong code, another purpose, right code, and again: each response equals its example."""
    service = await start(sandbox={"delivery_seconds": 0.3})
    verify, secret = f"{ONE}/verify", "order-4711"
    issued = await service.issue(reference=secret)
    one = f"{ISSUE}/{issued['id']}"
    await delivered(service, issued["id"], eventually)
    [code] = service.codes()
    checked = await service.verify(issued["id"], code)
    assert stable(checked) == stable(example("post", verify, 200, "approved"))
    assert await eventually(service.confirmed)
    assert stable(await service.read(issued["id"])) == stable(example("get", ONE, 200, "approved"))
    _, ended, _ = await service.call("POST", f"{one}/cancel")
    assert stable(ended) == stable(example("post", f"{ONE}/cancel", 200, "approved"))
    assert stable(await service.verify(issued["id"], code)) == stable(example("post", verify, 200, "used"))

    for name, field in (("wrong_code", {"code": "0000"}), ("mismatch", {"code": "0000", "purpose": "payment"})):
        issued = await service.issue(reference=secret)
        await delivered(service, issued["id"], eventually)
        assert stable(await service.verify(issued["id"], **field)) == stable(example("post", verify, 200, name))
    _, resent, _ = await service.call("POST", f"{ISSUE}/{issued['id']}/resend")
    assert stable({**resent, "attempts_remaining": 5}) == stable(example("post", f"{ONE}/resend", 200, "resent"))
    token = issued["client_token"]
    _, checked, _ = await service.call(
        "POST", f"{ISSUE}/{issued['id']}/verify", {"code": service.codes()[-2]}, key=token
    )
    shown = example("post", verify, 200, "approved_front_end")
    assert (checked["to"], checked["verdict"]) == (shown["to"], shown["verdict"])


async def test_the_examples_of_a_search_are_real(running, example, eventually):
    """An approved verification and a locked one before it are found as in the example; an unknown number has none."""
    locked, approved = [await running.issue(reference="order-4711") for _ in range(2)]
    for issued, typed in ((locked, ["0000"] * 5), (approved, [running.codes()[1]])):
        await delivered(running, issued["id"], eventually)
        for code in typed:
            await running.verify(issued["id"], code)
    assert await eventually(running.confirmed)
    for to, name in ((NUMBER, "found"), ("+12025550145", "unknown")):
        _, real, _ = await running.call("POST", f"{ISSUE}/search", {"to": to})
        shown = example("post", f"{ISSUE}/search", 200, name)
        assert [*map(stable, real["verifications"])] == [*map(stable, shown["verifications"])]


async def test_the_examples_of_other_ends_are_real(start, example, eventually, redis):
    """A locked and an expired verification equal their examples."""
    service = await start(sandbox={"delivery_seconds": 0.02})
    issued = await service.issue(reference="order-4711")
    await delivered(service, issued["id"], eventually)
    for _ in range(6):
        checked = await service.verify(issued["id"], "0000")
    assert stable(checked) == stable(example("post", f"{ONE}/verify", 200, "locked"))
    assert stable(await service.read(issued["id"])) == stable(example("get", ONE, 200, "locked"))

    issued = await service.issue(reference="order-4711")
    await delivered(service, issued["id"], eventually)
    code = service.codes()[-1]
    RawRecord(redis, issued["id"]).grow_older(700_000)
    assert stable(await service.verify(issued["id"], code)) == stable(example("post", f"{ONE}/verify", 200, "expired"))


async def test_the_examples_before_delivery_are_real(start, example):
    """Before delivery a verification equals its examples: pending, canceled, failed, unknown."""
    service = await start(sandbox={"delivery_seconds": 30})
    issued = await service.issue(reference="order-4711")
    assert stable(issued) == stable(example("post", ISSUE, 201, "pending"))
    _, seen, _ = await service.call("GET", f"{ISSUE}/{issued['id']}", key=issued["client_token"])
    assert stable(seen) == stable(example("get", ONE, 200, "pending_front_end"))
    _, ended, _ = await service.call("POST", f"{ISSUE}/{issued['id']}/cancel")
    assert stable(ended) == stable(example("post", f"{ONE}/cancel", 200, "canceled"))
    await plan_fault(service, {"endpoint": "messages", "kind": "refuse", "code": 21610, "count": 1})
    _, refused, _ = await service.call("POST", ISSUE, {"to": NUMBER, "reference": "order-4711"})
    failed = await service.read(refused["verification_id"])
    assert stable(failed) == stable(example("get", ONE, 200, "failed"))
    await plan_fault(service, {"endpoint": "messages", "kind": "500"})
    assert stable(await service.issue(reference="order-4711")) == stable(example("post", ISSUE, 201, "unanswered"))


async def test_the_examples_for_operators_are_real(running, example):
    """The responses of the probes have the fields of their examples, and the metrics their lines."""
    _, alive, _ = await running.call("GET", "/livez")
    assert alive == example("get", "/livez", 200, "alive")
    _, ready, _ = await running.call("GET", "/readyz")
    assert {**ready, "outbox_pending": 2} == example("get", "/readyz", 200, "ready")
    await running.verify((await running.issue())["id"], running.codes()[0])
    async with running.http.get("/metrics") as response:
        real = await response.text()
    for line in example("get", "/metrics", 200, "metrics").splitlines():
        assert line.rpartition(" ")[0] in real


async def plan_fault(service, plan):
    """Plan a fault in the simulator, over HTTP."""
    async with service.http.post(f"{service.sandbox_url}/_/faults", json=plan) as response:
        assert response.status < 300, await response.text()


async def refusals(service):
    """Cause each of Twilio's refusals; yield (code, endpoint, response)."""
    codes = {
        "recipient_opted_out": 21610, "not_a_mobile_number": 21614, "carrier_rejected": 21612, "blocked": 30450,
        "sender_misconfigured": 21212, "credentials_refused": 20403,
    }  # fmt: skip
    for refusal, error_code in codes.items():
        await plan_fault(service, {"endpoint": "messages", "kind": "refuse", "code": error_code, "count": 1})
        yield refusal, ("post", ISSUE), await service.call("POST", ISSUE, {"to": NUMBER})
    yield "invalid_number", ("post", ISSUE), await service.call("POST", ISSUE, {"to": "+10155550123"})
    assert {*codes, "invalid_number", "country_not_allowed"} == set(Refusal)
    yield "country_not_allowed", ("post", ISSUE), await service.call("POST", ISSUE, {"to": "+818012345678"})
    await plan_fault(service, {"endpoint": "messages", "kind": "429", "seconds": 30, "count": 1})
    yield "provider_unavailable", ("post", ISSUE), await service.call("POST", ISSUE, {"to": NUMBER})


async def overloads(start):
    """Cause the refusal of requests over the limits; yield (code, endpoint, response)."""
    service = await start(otp_max_in_flight=2)
    await plan_fault(service, {"endpoint": "messages", "kind": "slow", "seconds": 0.5, "count": 1})
    first = asyncio.create_task(service.issue())
    await asyncio.sleep(0.2)
    yield "overloaded", ("post", ISSUE), await service.call("POST", ISSUE, {"to": NUMBER})
    await first


async def refused_requests(service, post_raw):
    """Cause each problem of an invalid request; yield (code, endpoint, response)."""
    verify, endpoint = UNKNOWN + "/verify", ("post", f"{ONE}/verify")
    weak = await create_key(service.settings, Scope.REPORTS, name="weak")
    yield "malformed_body", endpoint, await post_raw(service, verify, b"{")
    yield "body_too_large", endpoint, await post_raw(service, verify, b" " * 5000)
    yield "unsupported_media_type", endpoint, await post_raw(service, verify, b"{}", "text/plain")
    for path, schema_endpoint in ((ISSUE, ISSUE), (verify, f"{ONE}/verify"), (UNKNOWN + "/resend", f"{ONE}/resend")):
        yield "invalid_request", ("post", schema_endpoint), await service.call("POST", path, {"unknown": 1})
    yield "unauthenticated", ("get", ONE), await service.call("GET", UNKNOWN, key="otp_sk_unknown")
    yield "insufficient_scope", ("get", ONE), await service.call("GET", UNKNOWN, key=weak)
    yield "unknown_verification", ("get", ONE), await service.call("GET", UNKNOWN)
    spaced = {"Idempotency-Key": "two words"}
    yield "invalid_idempotency_key", ("post", ISSUE), await service.call("POST", ISSUE, {"to": NUMBER}, headers=spaced)
    path = "/twilio/status/{verification_id}/{send_number}"
    yield "bad_signature", ("post", path), await post_raw(service, "/twilio/status/x/1", b"a=b", FORM)
    yield "body_too_large", ("post", path), await post_raw(service, "/twilio/status/x/1", b"a" * 20_000, FORM)
    yield "unsupported_media_type", ("post", path), await post_raw(service, "/twilio/status/x/1", b"{}")


async def refused_states(start):
    """Cause each problem of the current state; yield (code, endpoint, response)."""
    service = await start(otp_max_sends=1, otp_require_client_ip=True, otp_limit_ip="3/1h")
    body = {"to": NUMBER, "client_ip": "192.0.2.7"}
    named = await start(twilio_from="Acme")
    asked = {"to": NUMBER, "action": "reply"}
    yield "sender_cannot_receive", ("post", ISSUE), await named.call("POST", ISSUE, asked)
    unavailable = await service.call("POST", ISSUE, body | {"channel": "voice"})
    yield "channel_unavailable", ("post", ISSUE), unavailable
    issued = await service.issue(client_ip="192.0.2.7")
    resend = ("post", f"{ONE}/resend")
    yield "client_ip_required", ("post", ISSUE), await service.call("POST", ISSUE, {"to": NUMBER})
    verify = ("post", f"{ONE}/verify")
    yield "wrong_action", verify, await service.call("POST", f"{ISSUE}/{issued['id']}/verify", {"password": "0" * 10})
    yield "max_sends_reached", resend, await service.call("POST", f"{ISSUE}/{issued['id']}/resend")
    await service.call("POST", f"{ISSUE}/{issued['id']}/cancel")
    yield "not_pending", resend, await service.call("POST", f"{ISSUE}/{issued['id']}/resend")
    key = {"Idempotency-Key": "login-4711"}
    await plan_fault(service, {"endpoint": "messages", "kind": "slow", "seconds": 0.5, "count": 1})
    first = asyncio.create_task(service.call("POST", ISSUE, body, headers=key))
    await asyncio.sleep(0.2)
    yield "request_in_progress", ("post", ISSUE), await service.call("POST", ISSUE, body, headers=key)
    assert (await first)[0] == 201
    other = {**body, "purpose": "payment"}
    yield "idempotency_key_reused", ("post", ISSUE), await service.call("POST", ISSUE, other, headers=key)
    await service.call("POST", ISSUE, body)
    yield "rate_limited", ("post", ISSUE), await service.call("POST", ISSUE, body)


async def server_errors(start, gate, monkeypatch):
    """Cause each server error; yield (code, endpoint, response)."""

    async def fail(*_):
        raise RuntimeError("on purpose")

    service = await start(redis_url=gate.url)
    issued = await service.issue()
    monkeypatch.setattr(Checking, "read", fail)
    yield "internal_error", ("get", ONE), await service.call("GET", f"{ISSUE}/{issued['id']}")
    await gate.shut()
    yield "store_unavailable", ("post", ISSUE), await service.call("POST", ISSUE, {"to": NUMBER})
    yield "store_unavailable", ("get", "/readyz"), await service.call("GET", "/readyz")
    await gate.open()
    service.connections.drain()
    yield "draining", ("get", "/readyz"), await service.call("GET", "/readyz")


@pytest.fixture
def problems(start, gate, monkeypatch, post_raw):
    """Return `problems()`: each documented problem as (code, endpoint, response)."""

    async def cause():
        service = await start()
        for source in (
            refused_requests(service, post_raw),
            refusals(service),
            refused_states(start),
            overloads(start),
            server_errors(start, gate, monkeypatch),
        ):
            async for found in source:
                yield found

    return cause


async def test_every_problem_equals_its_example(problems, example, document):
    """The real body and headers of each documented problem equal its example, except ids and waits."""
    seen = set()
    async for code, (method, path), (status, body, headers) in problems():
        assert (status, body["code"]) == (CATALOGUE[code][0], code), body
        assert without_waits(body) == without_waits(example(method, path, status, code))
        assert headers["Content-Type"] == PROBLEM
        promised = document["paths"][path][method]["responses"][str(status)]["headers"]
        assert "Retry-After" in promised or "Retry-After" not in headers
        assert ("WWW-Authenticate" in promised) == ("WWW-Authenticate" in headers)
        seen.add(code)
    without_a_route = {
        *("not_found", "method_not_allowed", "malformed_request", "request_timeout", "headers_too_large"),
        "dashboard_refused",  # its routes are not in the document
    }
    assert seen == set(CATALOGUE) - without_a_route


def without_waits(problem):
    """Remove what differs from case to case: the wait, the verification and the request."""
    assert problem.get("retry_after", 1) >= 1
    assert re.fullmatch("ve_[0-9a-f]{32}", problem.get("verification_id", "ve_" + "0" * 32))
    return {**problem, **{name: "…" for name in ("retry_after", "verification_id", "request_id") if name in problem}}
