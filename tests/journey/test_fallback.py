"""A list of channels over real HTTP: the next one follows a message that failed, or of which nothing was heard."""

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import pytest
from twilio.request_validator import RequestValidator

from service import wiring
from service.app import open_redis
from service.config.policies import record_policy
from service.core.fallback import Fallback, FallbackPolicy
from service.core.prices import Money, read_prices
from service.core.retrying import Retries
from service.store.fallbacks import RedisFallbacks
from service.wiring import new_rules, new_store, open_providers
from tests.conftest import NUMBER
from tests.every_channel import offering_every_channel

LIST = [{"channel": "whatsapp"}, {"channel": "sms", "wait_seconds": 40}, {"channel": "voice"}]
TWO = [{"channel": "whatsapp"}, {"channel": "sms"}]
KEYED = {"Idempotency-Key": "login-1"}
OVER = ("delivered", "failed", "undelivered")


@pytest.fixture(name="start")
def _start(start, monkeypatch):
    """Return `start` with a sender for each channel, and a worker that looks for what is due every 20 ms."""
    monkeypatch.setattr(wiring, "Fallback", partial(Fallback, policy=FallbackPolicy(poll_seconds=0.02)))
    return offering_every_channel(start)


def due(redis, verification_id):
    """Let the next channel be due, as if the wait was over; return whether one waits."""
    return bool(redis.zadd(f"otp:{{{verification_id[3]}}}:fallbacks", {verification_id: 1}, xx=True, ch=True))


@pytest.fixture
def until(eventually):
    """Return `until(running, id, *channels)`: wait until these sends are over at Twilio; return the verification."""

    async def wait(running, verification_id, *channels):
        async def has_them():
            shown = await running.read(verification_id)
            sends = shown["sends"]
            is_over = [send["channel"] for send in sends] == list(channels) and sends[-1]["status"] in OVER
            return shown if is_over else None

        shown = await eventually(has_them, seconds=30)
        assert shown, await running.read(verification_id)
        return shown

    return wait


@dataclass
class Worker:
    """The fallback of another process, with what it claims and logs."""

    fallback: Fallback
    claims: RedisFallbacks
    log: list
    redis: object

    async def claim(self, issued, *, is_due=True):
        """Claim the next channel of a verification; first let it be due, as if the wait or a lease was over."""
        assert not is_due or due(self.redis, issued["id"])
        return await self.claims.claim(issued["id"][3])


@pytest.fixture
def worker(redis):
    """Return `worker(running)`: the fallback of a process of its own, which does only what the test asks for."""

    @asynccontextmanager
    async def work(running):
        settings, log = running.settings, []
        retries = {step: Retries() for step in ("attach_sid", "end_claim", "undo")}
        async with open_redis(settings) as scripts, open_providers(settings) as providers:
            store = new_store(settings, scripts)
            rules = new_rules(
                settings,
                store,
                providers.senders,
                retries=retries,
                wake=lambda _: None,
                event_log=lambda event, /, **fields: log.append((event, fields)),
            )
            yield Worker(rules.fallback, RedisFallbacks(scripts, store.keyring, record_policy(settings)), log, redis)
            for steps in retries.values():
                await steps.idle()

    return work


def said(call):
    """Return the digits that the voice has said in a call."""
    return "".join(digit for line in call.lines if line.by == "voice" for digit in re.findall("[0-9]", line.text))


async def settled_metrics(running):
    """Return the counted sends by event and channel."""
    async with running.http.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    found = (re.match(r'otp_sends_total\{channel="(\w+)",country="US",event="(\w+)"\} (.*)', line) for line in lines)
    return {(each[2], each[1]): float(each[3]) for each in found if each}


async def test_a_failed_message_is_followed_at_once(start, redis, fault, until, settled):
    """After a message that was not delivered the next channel follows, with a code of its own; both codes are valid."""
    running = await start()
    fault(running, "callbacks", "fail", count=1)
    issued = await running.issue(channels=LIST)
    shown = await until(running, issued["id"], "whatsapp", "sms")
    assert [send["status"] for send in shown["sends"]] == ["undelivered", "delivered"]
    assert (shown["channel"], shown["sends_remaining"], shown["status"]) == ("sms", 3, "pending")
    first, second = running.codes()
    assert first != second
    assert (await running.verify(issued["id"], second))["verdict"] == "approved"
    assert (await running.verify(issued["id"], first))["verdict"] == "used"
    outcomes = await settled(running)
    assert outcomes[1] == ("confirmed", 1)
    assert outcomes[0][0] != "confirmed"  # of a channel that is not confirmed
    assert not due(redis, issued["id"])
    counted = await settled_metrics(running)
    assert (counted["fallback", "sms"], ("resent", "sms") in counted) == (1, False)


async def test_silence_is_followed_after_the_wait(start, redis, fault, until, eventually):
    """When nothing is heard of a message, the next channel follows after its wait, and then the last; no other."""
    running = await start()
    fault(running, "callbacks", "drop", count=2)
    fault(running, "phone", "busy")
    issued = await running.issue(channels=LIST)
    assert len(running.codes()) == 1
    assert due(redis, issued["id"])
    assert await eventually(lambda: len(running.codes()) == 2, seconds=30)
    assert (await running.read(issued["id"]))["sends"][0]["status"] == "queued"
    assert due(redis, issued["id"])
    await until(running, issued["id"], "whatsapp", "sms", "voice")
    assert not due(redis, issued["id"])
    assert (len(set(running.codes())), len(running.sandbox.ledger.calls())) == (2, 1)


async def test_a_call_that_follows_says_its_code(start, fault, eventually):
    """When a message fails, the phone rings; after a key the call says a code of its own, which approves."""
    running = await start()
    fault(running, "callbacks", "fail", count=1)
    issued = await running.issue(channels=[LIST[0], LIST[2]])
    [call] = await eventually(running.sandbox.ledger.calls, seconds=30)
    await running.until_call(call.sid, lambda call: call.status == "ringing")
    async with running.http.post(f"{running.sandbox_url}/_/calls/{call.sid}/answer") as response:
        assert response.status == 200
    await running.key_in(call.sid, "5")
    code = said(await running.until_call(call.sid, said))[:6]
    assert code != running.codes()[0]
    assert (await running.verify(issued["id"], code))["verdict"] == "approved"


async def test_failure_and_silence_at_once_send_one_message(start, fault, until, call_back, worker):
    """When a failure is reported again and again while the wait ends, one message follows, from several workers."""
    running = await start()
    fault(running, "callbacks", "drop", count=1)
    issued = await running.issue(channels=TWO)
    sid = running.messages()[0].sid
    failed = {"MessageSid": sid, "MessageStatus": "undelivered", "ErrorCode": "63024", "AccountSid": "AC" + "0" * 32}
    path = f"/twilio/status/{issued['id']}/1"
    async with worker(running) as other:
        task = asyncio.create_task(other.fallback.run())
        due(other.redis, issued["id"])
        assert set(await asyncio.gather(*(call_back(running, path, failed) for _ in range(8)))) == {204}
        due(other.redis, issued["id"])
        shown = await until(running, issued["id"], "whatsapp", "sms")
        other.fallback.stop()
        await task
    assert len(shown["sends"]) == len(running.messages()) == 2


@pytest.mark.parametrize("end", ["approve", "cancel", "lock"])
async def test_nothing_follows_an_end_in_the_last_moment(start, fault, worker, wrong, end):
    """A verification that ends when its next channel is claimed already gets no further message."""
    running = await start(otp_worker=False, otp_max_attempts=1)
    fault(running, "callbacks", "drop", count=1)
    issued = await running.issue(channels=TWO)
    [code] = running.codes()
    async with worker(running) as work:
        claim = await work.claim(issued)
        if end == "cancel":
            await running.call("POST", f"/v1/verifications/{issued['id']}/cancel")
        else:
            await running.verify(issued["id"], code if end == "approve" else wrong(code))
        assert await work.fallback.send(claim) is None
        assert await work.claim(issued) is None
    assert (len(running.messages()), len((await running.read(issued["id"]))["sends"])) == (1, 1)


async def test_a_worker_killed_in_a_send_leaves_it_unknown(start, redis, fault, worker, eventually):
    """A worker that dies while it sends leaves that send unknown: it is not repeated, and the next channel follows."""
    running = await start(otp_worker=False)
    fault(running, "callbacks", "drop")
    issued = await running.issue(channels=LIST)
    async with worker(running) as work:
        claim = await work.claim(issued)
        fault(running, "messages", "slow", seconds=20, count=1)
        killed = asyncio.create_task(work.fallback.send(claim))
        assert await eventually(lambda: not running.sandbox.faults.planned()[1:], seconds=30)  # Twilio has the request
        killed.cancel()
        with suppress(asyncio.CancelledError):
            await killed
    sends = (await running.read(issued["id"]))["sends"]
    assert [(send["channel"], send["status"]) for send in sends] == [("whatsapp", "queued"), ("sms", "unknown")]
    async with worker(running) as work:
        assert await work.claim(issued, is_due=False) is None  # not before its wait
        claim = await work.claim(issued)
        await work.fallback.send(claim)
        assert not due(redis, issued["id"])
    sends = (await running.read(issued["id"]))["sends"]
    assert [send["channel"] for send in sends] == ["whatsapp", "sms", "voice"]
    assert (await running.verify(issued["id"], running.codes()[-1]))["verdict"] == "approved"


async def test_a_worker_killed_before_a_send_loses_none(start, redis, fault, worker):
    """A worker that dies after its claim has sent nothing: another one sends by the same channel, once."""
    running = await start(otp_worker=False)
    fault(running, "callbacks", "drop")
    issued = await running.issue(channels=TWO)
    async with worker(running) as work:
        killed = await work.claim(issued)
        await work.fallback.send(await work.claim(issued))  # the lease is over
        assert await work.fallback.send(killed) is None
    sends = (await running.read(issued["id"]))["sends"]
    assert ([send["channel"] for send in sends], len(running.messages())) == (["whatsapp", "sms"], 2)


@pytest.mark.parametrize(
    "limits",
    [
        {"otp_limit_number": "1/1h"},
        {"otp_limit_day": "1/1h"},
        {"otp_limit_country": "1/1h"},
        {"otp_limit_key": "1/1h"},
        {"otp_limit_sms": "1/1h"},
        {"otp_budget_day": Money(15_000, "USD"), "otp_prices": read_prices("currency,USD\n*,*,0.01")},
    ],
    ids=lambda limits: next(iter(limits)),
)
async def test_limits_hold_and_leave_the_verification_as_it_was(start, redis, fault, worker, limits):
    """A limit that is used up lets nothing follow; the verification stays as it was, and its code is accepted."""
    running = await start(otp_worker=False, **limits)
    fault(running, "callbacks", "drop")
    if "otp_limit_sms" in limits:
        await running.issue("+14155550177")
    issued = await running.issue(channels=TWO)
    async with worker(running) as work:
        before = redis.hgetall(f"otp:{{{issued['id'][3]}}}:v:{issued['id']}")
        assert await work.fallback.send(await work.claim(issued)) is None
        [postponed] = [fields for event, fields in work.log if event == "fallback_postponed"]
        assert redis.hgetall(f"otp:{{{issued['id'][3]}}}:v:{issued['id']}") == before
        assert (postponed["delay_ms"], postponed["channel"]) == (600_000, "sms")
        assert await work.claim(issued, is_due=False) is None
    [code] = running.codes()
    assert (await running.verify(issued["id"], code))["verdict"] == "approved"


async def test_a_message_follows_when_the_limits_allow_it(start, fault, until):
    """A message that a limit puts off follows as soon as the limit allows it."""
    running = await start(otp_limit_number="1/1s")
    fault(running, "callbacks", "fail", count=1)
    issued = await running.issue(channels=TWO)
    await until(running, issued["id"], "whatsapp", "sms")


async def test_the_most_sends_hold(start, redis, fault, worker):
    """A verification that has had `OTP_MAX_SENDS` messages gets none by its next channel."""
    running = await start(otp_worker=False, otp_max_sends=1)
    fault(running, "callbacks", "drop")
    issued = await running.issue(channels=TWO)
    async with worker(running) as work:
        assert await work.claim(issued) is None
    assert len(running.messages()) == 1


async def test_a_refused_first_message_is_followed(start, fault, until):
    """When Twilio refuses the first message, the issue succeeds with that send as failed, and the next one goes out."""
    running = await start()
    fault(running, "messages", "refuse", code=63024, count=1)
    body = {"to": NUMBER, "channels": LIST}
    status, issued, _ = await running.call("POST", "/v1/verifications", body, headers=KEYED)
    assert (status, issued["status"]) == (201, "pending")
    assert [(send["status"], send["error_code"]) for send in issued["sends"]] == [("failed", 63024)]
    again = await running.call("POST", "/v1/verifications", body, headers=KEYED)
    assert (again[0], again[1]) == (201, issued)
    await until(running, issued["id"], "whatsapp", "sms")
    [code] = running.codes()
    assert (await running.verify(issued["id"], code))["verdict"] == "approved"


async def test_a_refused_resend_is_followed(start, fault, until):
    """A resend that Twilio refuses succeeds while channels are left: its send has failed, and the next one follows."""
    running = await start()
    fault(running, "callbacks", "drop", count=1)
    issued = await running.issue(channels=TWO)
    fault(running, "messages", "refuse", code=63024, count=1)
    status, resent, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert (status, [(send["channel"], send["status"]) for send in resent["sends"]][1]) == (200, ("whatsapp", "failed"))
    await until(running, issued["id"], "whatsapp", "whatsapp", "sms")


async def test_when_every_channel_is_refused_the_verification_fails(start, fault, eventually):
    """When Twilio refuses each channel in turn, the verification has failed, with the reason of each."""
    running = await start()
    fault(running, "messages", "refuse", code=63024, count=2)
    fault(running, "calls", "refuse", code=13224, count=1)
    issued = await running.issue(channels=LIST)

    async def failed():
        shown = await running.read(issued["id"])
        return shown if shown["status"] == "failed" else None

    shown = await eventually(failed, seconds=30)
    assert [(send["channel"], send["error_code"]) for send in shown["sends"]] == [
        ("whatsapp", 63024), ("sms", 63024), ("voice", 13224),
    ]  # fmt: skip


@pytest.mark.parametrize(("code", "problem"), [(60410, "blocked"), (20003, "credentials_refused")])
async def test_some_refusals_end_the_list(start, fault, worker, code, problem):
    """When Twilio suspects fraud or refuses our credentials, no other channel is tried: the issue is refused."""
    running = await start(otp_worker=False)
    fault(running, "messages", "refuse", code=code, count=1)
    status, refused, _ = await running.call("POST", "/v1/verifications", {"to": NUMBER, "channels": LIST})
    assert (status, refused["code"]) == (422 if code == 60410 else 502, problem)
    assert (await running.read(refused["verification_id"]))["status"] == "failed"
    async with worker(running) as work:
        due(work.redis, refused["verification_id"])
        assert await work.claims.claim(refused["verification_id"][3]) is None
    assert running.messages() == []


@pytest.mark.parametrize(("code", "channels"), [(20003, LIST), (30034, TWO)])
async def test_a_message_that_follows_is_refused_once(start, fault, worker, code, channels):
    """A next message that Twilio refuses is not tried again, even if we are to blame; credentials end the list."""
    running = await start(otp_worker=False)
    fault(running, "callbacks", "drop")
    issued = await running.issue(channels=channels)
    fault(running, "messages", "refuse", code=code, count=1)
    async with worker(running) as work:
        await work.fallback.send(await work.claim(issued))
        assert not due(work.redis, issued["id"])
    shown = await running.read(issued["id"])
    sends = [(send["channel"], send["status"], send["error_code"]) for send in shown["sends"]]
    assert (shown["status"], sends[1:]) == ("pending", [("sms", "failed", code)])


async def test_a_message_blocked_on_its_way_ends_the_list(start, redis, fault, eventually):
    """A message that Twilio reports as blocked for fraud is not followed by a call, which would cost more."""
    running = await start(otp_worker=False)
    fault(running, "callbacks", "fail", code=30450, count=1)
    issued = await running.issue(channels=TWO)

    async def failed():
        return (await running.read(issued["id"]))["sends"][0]["status"] == "undelivered"

    assert await eventually(failed, seconds=30)
    assert not due(redis, issued["id"])


async def test_a_call_blocked_on_its_way_ends_the_list(start, redis):
    """A call that Twilio reports as blocked, by whatever code of fraud, is not followed by a message."""
    running = await start(otp_worker=False)
    for place, code in enumerate(("13225", "60411")):
        channels = [{"channel": "voice"}, {"channel": "sms"}]
        issued = await running.issue(to=f"+1415555014{place}", channels=channels)
        async with running.http.get(f"{running.sandbox_url}/_/calls") as response:
            sid = (await response.json())[-1]["sid"]
        address = f"{running.url}/twilio/call/{issued['id']}/1"
        form = {"CallSid": sid, "CallStatus": "failed", "ErrorCode": code}
        signature = RequestValidator("sandbox-auth-token").compute_signature(address, form)
        async with running.http.post(address, data=form, headers={"X-Twilio-Signature": signature}) as response:
            assert response.status == 204
        assert (await running.read(issued["id"]))["sends"][0]["status"] == "failed"
        assert not due(redis, issued["id"])


async def test_a_busy_channel_is_followed(start, fault, until):
    """When Twilio is too busy for the first channel, the issue succeeds, and the next one follows at once."""
    running = await start()
    fault(running, "messages", "refuse", code=63012, count=1)
    body = {"to": NUMBER, "channels": LIST}
    status, issued, _ = await running.call("POST", "/v1/verifications", body, headers=KEYED)
    assert (status, [send["status"] for send in issued["sends"]]) == (201, ["failed"])
    assert (await running.call("POST", "/v1/verifications", body, headers=KEYED))[1] == issued
    await until(running, issued["id"], "whatsapp", "sms")


async def test_an_unreachable_provider_fails_an_issue(start, redis):
    """When Twilio cannot be reached, no channel can be tried: the issue is a 503, and nothing follows."""
    running = await start(otp_worker=False, twilio_base_url="http://127.0.0.1:1")
    status, problem, _ = await running.call("POST", "/v1/verifications", {"to": NUMBER, "channels": LIST})
    assert (status, problem["code"]) == (503, "provider_unavailable")
    assert (await running.read(problem["verification_id"]))["status"] == "failed"


async def test_the_last_channel_is_tried_again_while_the_provider_is_busy(start, fault, worker):
    """The last channel is tried again when Twilio was too busy for it; it leaves no trace until it is sent."""
    running = await start(otp_worker=False)
    fault(running, "callbacks", "drop")
    issued = await running.issue(channels=TWO)
    fault(running, "messages", "429", seconds=5, count=1)
    async with worker(running) as work:
        await work.fallback.send(await work.claim(issued))
        assert len((await running.read(issued["id"]))["sends"]) == 1
        assert await work.claim(issued, is_due=False) is None
        await work.fallback.send(await work.claim(issued))
    assert [send["channel"] for send in (await running.read(issued["id"]))["sends"]] == ["whatsapp", "sms"]


async def test_a_resend_goes_by_the_newest_channel_of_a_list(start, fault, until):
    """A resend without a channel goes by that of the newest message; with an API key, by any: "call me instead"."""
    running = await start()
    fault(running, "callbacks", "fail", count=1)
    issued = await running.issue(channels=TWO)
    await until(running, issued["id"], "whatsapp", "sms")
    resend = f"/v1/verifications/{issued['id']}/resend"
    status, resent, _ = await running.call("POST", resend, key=issued["client_token"])
    assert (status, resent["channel"]) == (200, "sms")
    status, resent, _ = await running.call("POST", resend, {"channel": "voice"})
    assert (status, resent["channel"]) == (200, "voice")
    assert (await running.call("POST", resend, {"channel": "voice"}, key=issued["client_token"]))[0] == 403


async def test_a_test_number_has_no_fallback(start, redis):
    """Nothing is sent to a test number, and so nothing follows."""
    running = await start(otp_test_numbers=f"{NUMBER}:123456", otp_allow_test_numbers=True)
    issued = await running.issue(channels=TWO)
    assert (issued["channel"], due(redis, issued["id"])) == ("whatsapp", False)
    assert (await running.verify(issued["id"], "123456"))["verdict"] == "approved"


async def test_channels_that_do_not_reach_a_country_are_left_out(start, redis):
    """A channel of the list that is not sent to the number's country is left out; if none is, the issue is refused."""
    running = await start(otp_worker=False, otp_countries_whatsapp="DE", otp_countries_voice="DE")
    issued = await running.issue(channels=LIST)
    assert (issued["channel"], due(redis, issued["id"])) == ("sms", False)
    refused = await running.call("POST", "/v1/verifications", {"to": NUMBER, "channels": [LIST[0], LIST[2]]})
    assert (refused[0], refused[1]["code"]) == (422, "country_not_allowed")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"channels": [*TWO, {"channel": "sms"}]}, "/channels"),
        ({"channels": TWO, "channel": "sms"}, "/channels"),
        ({"channels": [{"channel": "sms", "wait_seconds": 9}]}, "/channels/0/wait_seconds"),
        ({"channels": [{"channel": "pigeon"}]}, "/channels/0/channel"),
        ({"channels": [{"channel": "sms", "wait_seconds": 60}, {"channel": "voice"}], "ttl_seconds": 60}, "/channels"),
        ({"channels": TWO, "action": "link"}, "/channels"),
    ],
)
async def test_an_unfit_list_is_refused_where_it_is_wrong(start, body, pointer):
    """A list that cannot be followed is a 422 that points to what is wrong, and nothing is sent."""
    running = await start(otp_worker=False)
    status, problem, _ = await running.call("POST", "/v1/verifications", {"to": NUMBER, **body})
    assert (status, problem["code"]) == (422, "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert running.messages() == []
