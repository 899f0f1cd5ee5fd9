"""Races over fresh connections against two processes: guesses (A1), the right code (A2), limits (A8), one key (A17)."""

import asyncio
import os
import random
import secrets
import sys

import pytest
import pytest_asyncio
from twilio.request_validator import RequestValidator

from service.core.actions import password, reply
from tests.attacks.processes import ROOT, Process, shared_processes
from tests.attacks.racing import Racer, race
from tests.free_ports import free_port

QUICK = 3
ROUNDS = int(os.environ.get("RACE_ROUNDS", "15"))

with_pair = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def processes(valkey, tmp_path_factory):
    """Run two serving processes for all tests."""
    async with shared_processes(valkey, tmp_path_factory.mktemp("races"), 2) as running:
        yield running


@pytest.fixture
def pair(processes, redis):
    """Return the two serving processes, on an empty Redis."""
    return processes(redis)


def racers(processes, issued, codes, *, field="code"):
    """Make one racer for each code, distributed over the processes."""
    return [
        Racer(
            processes[place % len(processes)].client.url,
            f"/v1/verifications/{issued['id']}/verify",
            {field: code},
            {"Authorization": f"Bearer {processes[0].client.key}"},
        )
        for place, code in enumerate(codes)
    ]


def verdicts(responses):
    """Return the verdict of each response, all of which must be a 200."""
    assert {status for status, _ in responses} == {200}
    return [body["verdict"] for _, body in responses]


def entries(redis):
    """Count the confirmations pending for Twilio."""
    return sum(redis.zcard(f"otp:{{{partition:x}}}:outbox") for partition in range(16))


@pytest.fixture
async def naive_pair(valkey, redis, tmp_path):
    """Run the naive verifier as two processes; return their URLs."""
    processes = []
    try:
        for number in range(2):
            port = free_port()
            command = [sys.executable, "-m", "uvicorn", "tests.attacks.naive:app", "--port", str(port)]
            environment = {"REDIS_URL": valkey, "PYTHONPATH": str(ROOT)}
            processes.append(Process(command, environment, tmp_path / f"naive-{number}.log", port))
        await asyncio.gather(*(process.start() for process in processes))
        yield [f"http://127.0.0.1:{process.port}" for process in processes]
    finally:
        for process in processes:
            process.end()


async def test_the_harness_catches_a_verifier_that_reads_compares_and_deletes(naive_pair, redis):
    """Control of A1 and A2: the naive verifier compares more than 5 guesses and approves one code twice."""
    most_compared = most_approved = 0
    for number in range(10):  # one round is nearly always enough; the machine may be busy
        redis.set(f"naive:{number}:code", "123456", ex=600)
        guesses = [Racer(naive_pair[i % 2], f"/{number}", {"code": "000000"}, {}) for i in range(100)]
        most_compared = max(most_compared, verdicts(await race(guesses)).count("wrong_code"))
        redis.set(f"naive:{number}:attempts", 0, ex=600)
        rights = [Racer(naive_pair[i % 2], f"/{number}", {"code": "123456"}, {}) for i in range(50)]
        most_approved = max(most_approved, verdicts(await race(rights)).count("approved"))
        if most_compared > 5 and most_approved > 1:
            break
    assert most_compared > 5
    assert most_approved > 1


async def guess_rounds(pair, rounds):
    client = pair[0].client
    for number in range(rounds):
        to = f"+1415555{number:04d}"
        issued = await client.issue(to)
        [right] = client.codes(to)
        wrong = [code for code in map("{:06d}".format, random.sample(range(1_000_000), 201)) if code != right][:200]
        seen = verdicts(await race(racers(pair, issued, wrong)))
        assert (seen.count("wrong_code"), seen.count("locked")) == (5, 195)
        assert (await client.read(issued["id"]))["status"] == "max_attempts_reached"
        assert (await client.verify(issued["id"], right))["verdict"] == "locked"


@with_pair
async def test_of_two_hundred_racing_guesses_five_are_compared(pair, redis):
    """A1: 200 simultaneous guesses on two processes are counted before they are compared: five, no more."""
    await guess_rounds(pair, QUICK)
    assert entries(redis) == 0


@pytest.mark.slow
@pytest.mark.timeout(60 + 3 * ROUNDS)
@with_pair
async def test_no_round_compares_a_sixth_guess(pair, redis):
    """A1 at length: in many rounds of 200 guesses there is no sixth comparison."""
    await guess_rounds(pair, ROUNDS)
    assert entries(redis) == 0


@pytest.mark.slow
@with_pair
async def test_a_right_code_among_racing_guesses_is_found_by_five_comparisons_or_not_at_all(pair, redis):
    """A1: with the right code among them at most five are compared, at most one is approved, one SID is pending."""
    client = pair[0].client
    for number in range(QUICK):
        to = f"+1415555{number:04d}"
        issued = await client.issue(to)
        [right] = client.codes(to)
        crowd = [right, *(f"{guess:06d}" for guess in random.sample(range(1_000_000), 99))]
        random.shuffle(crowd)
        pending_before = entries(redis)
        seen = verdicts(await race(racers(pair, issued, crowd)))
        assert seen.count("wrong_code") + seen.count("approved") <= 5
        assert seen.count("approved") <= 1
        assert entries(redis) - pending_before == seen.count("approved")


@with_pair
async def test_racing_passwords_are_counted_and_accepted_once(pair, redis):
    """A1 and A2 for a password: of racing wrong ones five are compared; of a hundred right ones one is approved."""
    client = pair[0].client
    guessed, used = await client.issue(action="password"), await client.issue("+14155550199", action="password")
    [right] = password.found_in(client.messages("+14155550199")[0].body)
    wrong = [password.draw(13) for _ in range(100)]
    seen = verdicts(await race(racers(pair, guessed, wrong, field="password")))
    assert (seen.count("wrong_code"), seen.count("locked")) == (5, 95)
    seen = verdicts(await race(racers(pair, used, [right] * 100, field="password")))
    assert (seen.count("approved"), seen.count("used")) == (1, 99)
    assert entries(redis) == 1


def repliers(processes, sender, bodies, sids=()):
    """Make one racer for each message of a person, distributed over the processes and signed as by Twilio."""
    crowd = []
    for place, body in enumerate(bodies):
        client = processes[place % len(processes)].client
        sid = sids[place] if sids else f"SM{secrets.token_hex(16)}"
        fields = {"MessageSid": sid, "From": sender, "Body": body}
        [token] = client.settings.twilio_auth_token
        address = client.url + "/twilio/message"
        signature = RequestValidator(token.get_secret_value()).compute_signature(address, fields)
        crowd.append(Racer(client.url, "/twilio/message", fields, {"X-Twilio-Signature": signature}, is_form=True))
    return crowd


@with_pair
async def test_racing_replies_are_counted_and_accepted_once(pair, redis):
    """A1, A2 and A17 for a reply: five wrong ones count, one right one approves, and one message counts once."""
    client = pair[0].client
    numbers = guessed, used, repeated = ["+14155550123", "+14155550199", "+14155550177"]
    issued = {to: await client.issue(to, action="reply") for to in numbers}
    words = {to: next(iter(reply.found_in(client.messages(to)[0].body))) for to in numbers}
    wrong = [reply.draw(0, "0", issued[guessed]["match"]) for _ in range(100)]
    await race(repliers(pair, guessed, [pair for pair in wrong if pair != words[guessed]]))
    await race(repliers(pair, used, [f"{words[used]} {issued[used]['match']}"] * 100))
    other = next(word for word in words[guessed].split() if word != issued[repeated]["match"])
    await race(repliers(pair, repeated, [f"{words[repeated]} {other}"] * 100, [f"SM{'5' * 32}"] * 100))
    seen = {to: await client.read(issued[to]["id"]) for to in numbers}
    assert (seen[guessed]["status"], seen[guessed]["attempts_remaining"]) == ("max_attempts_reached", 0)
    assert (seen[used]["status"], seen[used]["sends"][0]["feedback"]) == ("approved", "pending")
    assert (seen[repeated]["status"], seen[repeated]["attempts_remaining"]) == ("pending", 4)
    assert entries(redis) == 2


async def right_rounds(pair, redis, rounds):
    client = pair[0].client
    for number in range(rounds):
        to = f"+1415555{number:04d}"
        issued = await client.issue(to)
        seen = verdicts(await race(racers(pair, issued, client.codes(to) * 100)))
        assert (seen.count("approved"), seen.count("used")) == (1, 99)
        assert entries(redis) == number + 1


@with_pair
async def test_of_a_hundred_racing_right_codes_one_is_approved_and_pending(pair, redis):
    """A2: the right code a hundred times at once: one approval, one pending confirmation (promises 1 and 2)."""
    await right_rounds(pair, redis, QUICK)


@pytest.mark.slow
@pytest.mark.timeout(60 + 3 * ROUNDS)
@with_pair
async def test_no_round_approves_a_code_twice(pair, redis):
    """A2 at length: in many rounds of 100 right codes none is approved twice and no entry is missing."""
    await right_rounds(pair, redis, ROUNDS)


@pytest.mark.slow
@with_pair
async def test_two_codes_of_one_verification_are_approved_once_together(pair, redis):
    """A2: two sends' right codes racing approve once; both messages arrived, so both SIDs are pending, once each."""
    client = pair[0].client
    issued = await client.issue()
    assert (await client.call("POST", f"/v1/verifications/{issued['id']}/resend"))[0] == 200
    first, second = client.codes()
    # Each send's first check may cost an attempt before the other's: five attempts are shared.
    seen = verdicts(await race(racers(pair, issued, [first, second])))
    assert sorted(seen) == ["approved", "used"]
    assert entries(redis) == 2


@with_pair
async def test_fifty_issues_with_one_idempotency_key_send_one_message(pair):
    """A17: fifty simultaneous issues with one Idempotency-Key send one SMS; another body with it is refused."""
    client = pair[0].client
    headers = {"Authorization": f"Bearer {client.key}", "Idempotency-Key": secrets.token_hex(8)}
    request = {"to": "+14155550123"}
    crowd = [Racer(pair[i % 2].client.url, "/v1/verifications", request, headers) for i in range(50)]
    responses = await race(crowd)
    assert len(client.messages()) == 1
    assert {status for status, _ in responses} <= {201, 409}
    assert len({body["id"] for status, body in responses if status == 201}) == 1
    again = await client.call("POST", "/v1/verifications", request, headers=headers)
    assert (again[0], again[2]["Idempotent-Replayed"]) == (201, "true")
    other = await client.call("POST", "/v1/verifications", {"to": "+12025550123"}, headers=headers)
    assert (other[0], other[1]["code"]) == (422, "idempotency_key_reused")
    assert len(client.sandbox.ledger.messages()) == 1


@pytest.mark.slow
async def test_racing_issues_for_one_number_keep_its_limit(start, launch):
    """A7, R11: fifty simultaneous issues for one number on two processes send what its limit allows, no more."""
    running = await start(otp_worker=False)
    processes = [await launch(running, OTP_WORKER="false", OTP_LIMIT_NUMBER="3/1h") for _ in range(2)]
    headers = {"Authorization": f"Bearer {running.key}"}
    crowd = [
        Racer(processes[i % 2].client.url, "/v1/verifications", {"to": "+14155550123"}, headers) for i in range(50)
    ]
    responses = await race(crowd)
    assert sorted(status for status, _ in responses) == [201] * 3 + [429] * 47
    assert len(running.messages()) == 3


def neighbours(urls, key):
    """Make sixty racers that each request a code for another number of one block, distributed over the processes."""
    headers = {"Authorization": f"Bearer {key}"}
    return [
        Racer(urls[place % 2], "/v1/verifications", {"to": f"+1415555{place:04d}", "client_ip": "192.0.2.7"}, headers)
        for place in range(60)
    ]


@pytest.mark.slow
async def test_the_harness_catches_a_limit_that_reads_and_then_counts(naive_pair):
    """Control of A8: the naive limit of ten lets more than ten of sixty racing requests through."""
    seen = [body["verdict"] for _, body in await race(neighbours(naive_pair, "any"))]
    assert seen.count("sent") > 10


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["IP", "PREFIX", "COUNTRY", "DAY", "KEY", "SMS", "BUDGET"])
async def test_racing_issues_for_many_numbers_keep_a_shared_limit(start, launch, tmp_path, limit):
    """A8, R14: sixty numbers at once on two processes send what a shared limit allows, no more."""
    running = await start(otp_worker=False)
    bound = {f"OTP_LIMIT_{limit}": "10/1h"}
    if limit == "BUDGET":
        prices = tmp_path / "prices.csv"
        prices.write_text("currency,USD\n*,*,0.0083\n", "utf-8")
        bound = {"OTP_PRICES": str(prices), "OTP_BUDGET_DAY": "0.09 USD"}  # ten, and 0.007 are left
    processes = [await launch(running, OTP_WORKER="false", **bound) for _ in range(2)]
    responses = await race(neighbours([process.client.url for process in processes], running.key))
    assert sorted(status for status, _ in responses) == [201] * 10 + [429] * 50
    assert len(running.sandbox.ledger.messages()) == 10
