"""Actions over real HTTP: from the message to the confirmation, each by its own entry alone."""

import asyncio
import re
from contextlib import asynccontextmanager

import pytest

from service import wiring
from service.app import open_redis
from service.config.policies import new_keyring
from service.core.actions import ACTIONS, Action
from service.core.lost_messages import LookupPolicy
from service.core.partitions import PARTITIONS
from service.core.retrying import Retries
from service.core.verification import Status, Verdict
from service.store import keys as redis_keys
from service.wiring import new_rules, new_store
from tests.conftest import NUMBER

ASKED = {Action.PASSWORD: {"password_length": 24}, Action.LINK: {"origin_text": "Berlin"}}


def secret_in(running, action, place=-1):
    """Return the secret of a message, as the person reads it."""
    [secret] = ACTIONS[action].found_in(running.messages()[place].body)
    return secret


@asynccontextmanager
async def pages(running):
    """Yield the `Links` that the pages use, on the store of a running service."""
    async with open_redis(running.settings) as scripts:
        retries = {step: Retries() for step in ("attach_sid", "end_claim", "undo")}
        store = new_store(running.settings, scripts)
        silent = {"wake": lambda _: None, "event_log": lambda *_, **__: None}
        yield new_rules(running.settings, store, {}, retries=retries, **silent).links


async def answered(running, verification_id, body, **options):
    status, shown, _ = await running.call("POST", f"/v1/verifications/{verification_id}/verify", body, **options)
    return status, shown


async def test_a_password_approves_and_confirms(running, settled):
    """The password of the message, typed in small letters without hyphens, approves; its message is confirmed once."""
    issued = await running.issue(action="password", password_length=15, ttl_seconds=86_400)
    assert (issued["action"], issued["code_length"], issued["password_length"]) == ("password", None, 15)
    assert issued["expires_in"] > 86_000
    [shown] = re.findall(r"[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]{5}", running.messages()[-1].body)
    status, body = await answered(running, issued["id"], {"password": shown.lower().replace("-", " ")})
    assert (status, body["verdict"], body["status"]) == (200, "approved", "approved")
    assert await settled(running) == [("confirmed", 1)]


async def test_twilio_gets_a_validity_period_that_it_takes(running):
    """A password may live for a day; Twilio queues a message for at most ten hours."""
    await running.issue(action="password", ttl_seconds=86_400)
    assert running.messages()[-1].validity_period_seconds == 36_000


async def test_a_resent_password_is_another_one(running):
    """Each send has its own password of the same length, and each is accepted."""
    issued = await running.issue(action="password")
    status, _, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert status == 200
    first, second = secret_in(running, Action.PASSWORD, 0), secret_in(running, Action.PASSWORD, 1)
    assert first != second
    assert (len(first), len(second)) == (13, 13)
    assert (await answered(running, issued["id"], {"password": first}))[1]["verdict"] == "approved"


async def test_a_wrong_password_costs_an_attempt(running):
    """A well-formed password that is not the one in the message is `wrong_code` and costs an attempt."""
    issued = await running.issue(action="password")
    status, body = await answered(running, issued["id"], {"password": "0" * 13})
    assert (status, body["verdict"], body["attempts_remaining"]) == (200, "wrong_code", 4)


@pytest.mark.parametrize(
    ("action", "body"),
    [("code", {"password": "7KQ2M-X40BT"}), ("password", {"code": "123456"}), ("link", {"code": "123456"}),
     ("link", {"password": "7KQ2M-X40BT"}), ("reply", {"code": "123456"}), ("reply", {"password": "7KQ2M-X40BT"}),
     ("call", {"code": "123456"})],
)  # fmt: skip
async def test_another_action_is_refused_and_costs_nothing(running, action, body):
    """What belongs to another action gets 409 however often it is sent: no attempt, no confirmation, no end."""
    issued = await running.issue(action=action)
    for _ in range(7):
        status, problem = await answered(running, issued["id"], body)
        assert (status, problem["code"]) == (409, "wrong_action")
    read = await running.read(issued["id"])
    assert (read["status"], read["attempts_remaining"], read["sends"][0]["feedback"]) == ("pending", 5, "none")


@pytest.mark.parametrize(
    ("action", "too_old", "too_often"),
    [
        (Action.CODE, "The code is too old.", "Too many wrong codes."),
        (Action.PASSWORD, "The password is too old.", "Too many wrong passwords."),
        (Action.LINK, "The link is too old.", "Too many wrong tries."),
    ],
)
async def test_a_refused_resend_speaks_of_the_action(running, grow_older, record, action, too_old, too_often):  # noqa: PLR0917
    """Once a verification has ended, the problem names what the person has: a code, a password or a link."""
    issued = await running.issue(action=action)
    resend = f"/v1/verifications/{issued['id']}/resend"
    record(issued["id"]).set("status", Status.MAX_ATTEMPTS_REACHED)
    assert (await running.call("POST", resend))[1]["detail"] == f"{too_often} Start again."
    record(issued["id"]).set("status", Status.PENDING)
    grow_older(issued["id"], 700)
    assert (await running.call("POST", resend))[1]["detail"] == f"{too_old} Start again."


@pytest.mark.parametrize("body", [{}, {"code": None}, {"code": "123456", "password": "7KQ2M-X40BT"}])
async def test_a_check_has_exactly_one_secret(running, body):
    """A check with no secret, or with two, is refused before it costs an attempt."""
    issued = await running.issue()
    status, problem = await answered(running, issued["id"], body)
    assert (status, problem["code"], problem["errors"][0]["pointer"]) == (422, "invalid_request", "/code")
    assert (await running.read(issued["id"]))["attempts_remaining"] == 5


async def test_a_match_approves_a_link_and_confirms(running, settled):
    """The match of the response, typed on the page of the link, approves; the message of that link is confirmed."""
    issued = await running.issue(action="link", origin_text="Chrome near Berlin")
    token = secret_in(running, Action.LINK)
    assert f"/l/{token}" in running.messages()[-1].body
    async with pages(running) as links:
        for _ in range(3):  # scanners look first
            linked = await links.look(token)
            assert linked.verification.request.origin_text == "Chrome near Berlin"
        assert (await running.read(issued["id"]))["sends"][0]["feedback"] == "none"
        result = await links.answer(token, issued["match"])
        assert result.verdict is Verdict.APPROVED
        assert (await links.answer(token, issued["match"])).verdict is Verdict.USED
    assert (await running.read(issued["id"]))["status"] == "approved"
    assert await settled(running) == [("confirmed", 1)]


async def test_the_match_is_told_once(running):
    """Only the response to the issue has the match, and its replay; not a read, a resend, a check or the message."""
    key = {"Idempotency-Key": "login-1"}
    asked = {"to": NUMBER, "action": "link"}
    _, issued, _ = await running.call("POST", "/v1/verifications", asked, headers=key)
    _, again, headers = await running.call("POST", "/v1/verifications", asked, headers=key)
    assert headers["Idempotent-Replayed"] == "true"
    assert re.fullmatch("[0-9]{2}", issued["match"])
    assert again["match"] == issued["match"]
    assert "match" not in await running.read(issued["id"])
    _, resent, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert "match" not in resent
    assert (await running.issue(to="+14155550124"))["match"] is None


async def test_a_wrong_match_never_approves(running, settled):
    """Wrong matches cost attempts until the verification is locked, then the right one is worth nothing."""
    issued = await running.issue(action="link")
    token, wrong = secret_in(running, Action.LINK), f"{(int(issued['match']) + 1) % 100:02d}"
    async with pages(running) as links:
        for _ in range(5):
            assert (await links.answer(token, wrong)).verdict is Verdict.WRONG_CODE
        assert (await links.answer(token, issued["match"])).verdict is Verdict.LOCKED
    assert (await running.read(issued["id"]))["status"] == "max_attempts_reached"
    assert await settled(running) == [("confirmed", 1)]


async def test_a_malformed_match_costs_nothing(running):
    """A match that is not two digits is refused in a sentence: no attempt, no confirmation."""
    issued = await running.issue(action="link")
    async with pages(running) as links:
        for match in ("", "4", "abc", "123"):
            with pytest.raises(ValueError, match="two digits"):
                await links.answer(secret_in(running, Action.LINK), match)
    read = await running.read(issued["id"])
    assert (read["attempts_remaining"], read["sends"][0]["feedback"]) == (5, "none")


async def test_a_link_can_be_declined(running, settled):
    """To say "It wasn't me" cancels the verification, and confirms that its message was received."""
    issued = await running.issue(action="link")
    token = secret_in(running, Action.LINK)
    async with pages(running) as links:
        assert (await links.decline(token)).status is Status.CANCELED
        assert (await links.answer(token, issued["match"])).verdict is Verdict.CANCELED
    assert (await running.read(issued["id"]))["status"] == "canceled"
    assert await settled(running) == [("confirmed", 1)]


@pytest.mark.parametrize("token", ["", "x", "0" * 23, "g" * 23, "7" + "A" * 22, "../" * 8])
async def test_an_unknown_token_leads_nowhere(running, redis, token):
    """A token that was never sent is unknown to each step, and makes no key."""
    before = set(redis.scan_iter())
    async with pages(running) as links:
        assert await links.look(token) is None
        assert await links.answer(token, "47") is None
        assert await links.decline(token) is None
    assert {key for key in redis.scan_iter() if b":link:" in key} == {key for key in before if b":link:" in key}


async def test_a_link_that_cannot_be_sent_is_refused(start):
    """A link with no address, one that does not fit and an unknown return address get 422 before anything is sent."""
    for overrides, fields, pointer in (
        ({"otp_public_url": None}, {}, "/action"),
        ({"otp_public_url": "http://otp.example.com"}, {}, "/action"),
        ({"otp_link_url": "https://" + "o" * 63 + "." + "p" * 60 + ".example"}, {}, "/action"),
        ({}, {"link_return": 0}, "/link_return"),
        ({"otp_link_return_urls": "https://a.example/x,https://b.example"}, {"link_return": 2}, "/link_return"),
        ({"otp_test_numbers": f"{NUMBER}:493027", "otp_allow_test_numbers": True}, {}, "/action"),
    ):
        running = await start(**overrides)
        status, problem, _ = await running.call("POST", "/v1/verifications", {"to": NUMBER, "action": "link", **fields})
        assert (status, problem["code"], problem["errors"][0]["pointer"]) == (422, "invalid_request", pointer)
        assert running.messages() == []


async def test_a_link_may_have_an_address_of_its_own(start):
    """With OTP_LINK_URL the links are there, and return addresses are chosen by their place."""
    running = await start(otp_link_url="https://go.example", otp_link_return_urls="https://a.example/x?y=1")
    await running.issue(action="link", link_return=0)
    token = secret_in(running, Action.LINK)
    assert f" https://go.example/l/{token} " in running.messages()[-1].body
    async with pages(running) as links:
        assert (await links.look(token)).verification.request.link_return == 0


async def test_a_test_number_has_a_fixed_password(start):
    """The password of a test number is its code, repeated to the length; nothing is sent."""
    running = await start(otp_test_numbers=f"{NUMBER}:493027", otp_allow_test_numbers=True)
    issued = await running.issue(action="password")
    assert running.messages() == []
    assert (await answered(running, issued["id"], {"password": "49302-74930-274"}))[1]["verdict"] == "approved"


@pytest.fixture
def answer(send_in, key_in):
    """Return `answer(running, issued)`: answer with what the message carries; return the feedback of the send."""

    async def give(running, issued):
        action = Action(issued["action"])
        secret = secret_in(running, action)
        if action is Action.LINK:
            async with pages(running) as links:
                assert (await links.answer(secret, issued["match"])).verdict is Verdict.APPROVED
        elif action is Action.REPLY:
            sent = await running.read(issued["id"])
            assert await send_in(running, f"{secret} {issued['match']}", sender=sent["to"]) == 200
        elif action is Action.CALL:
            sent = await running.read(issued["id"])
            assert "confirmed" in await key_in(running, f"{secret}{issued['match']}", sender=sent["to"])
        else:
            assert (await answered(running, issued["id"], {str(action): secret}))[1]["verdict"] == "approved"
        return (await running.read(issued["id"]))["sends"][0]["feedback"]

    return give


@pytest.mark.parametrize("action", Action)
async def test_a_late_sid_is_confirmed(running, hold, answer, settled, eventually, action):  # noqa: PLR0917
    """What is answered before Twilio's response has come is confirmed once the SID is known (promise 5)."""
    held = hold(running)
    issuing = asyncio.create_task(running.issue(action=action, **ASKED.get(action, {})))
    assert await eventually(running.messages)
    [key] = [each async for each in _records(running)]
    issued = {"id": key, "action": str(action), "match": ACTIONS[action].match(new_keyring(running.settings), key)}
    assert await answer(running, issued) == "awaiting_sid"
    held.deliver.set()
    held.responds.set()
    assert (await issuing)["match"] in (None, issued["match"])
    assert await settled(running) == [("confirmed", 1)]


@pytest.mark.parametrize("action", Action)
async def test_a_lost_message_is_found_whatever_it_carries(  # noqa: PLR0917 - fixtures
    start, fault, answer, redis, eventually, monkeypatch, action
):
    """If response and callbacks are lost, the message is found in Twilio's list by its code, password or link."""
    monkeypatch.setattr(wiring, "lookup_policy", lambda _: LookupPolicy(poll_seconds=0.02, pause_seconds=0.02))
    running = await start()
    await running.issue(action=action, **ASKED.get(action, {}))
    fault(running, "callbacks", "drop", count=1)
    fault(running, "messages", "lost_response", count=1)
    issued = await running.issue("+14155550124", action=action, **ASKED.get(action, {}))
    lost = running.messages("+14155550124")[-1]
    assert await eventually(lambda: running.messages("+14155550124")[-1].status == "delivered")
    monkeypatch.setattr(running, "messages", lambda *_: [lost])
    assert await answer(running, issued) == "awaiting_sid"
    for key in redis.scan_iter("otp:{*}:outbox:lookups"):
        redis.zadd(key, dict.fromkeys(redis.zrange(key, 0, -1), 1))
    assert await eventually(running.confirmed) == {lost.sid}


async def _records(running):
    """Yield the ids of all verifications."""
    async with open_redis(running.settings) as scripts:
        for partition in PARTITIONS:
            prefix = redis_keys.verification_prefix(partition)
            _, found = await scripts.command("SCAN", "0", "MATCH", f"{prefix}*", "COUNT", 1000, key=prefix)
            for key in found:
                yield key.decode().removeprefix(prefix)
