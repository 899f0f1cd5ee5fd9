"""What responses reveal: nothing about a number, neither by their format nor by their duration (A10)."""

import random
import statistics
import time

import pytest

from service.store.verifications import RedisVerifications

NUMBER = "+14155550123"
PAIRS = 400
MARGIN = 4.5  # standard errors, exceeded by chance once in 140,000 runs


def shape(value):
    """Reduce a response to its structure: names and types, no values."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    return [shape(part) for part in value] if isinstance(value, list) else type(value).__name__


async def test_known_and_unknown_numbers_get_the_same_response(running):
    """A10: the response to an issue has the same format and headers whether or not the number is known."""
    issued = await running.issue()
    await running.verify(issued["id"], *running.codes())
    known, new = [await running.call("POST", "/v1/verifications", {"to": to}) for to in (NUMBER, "+12025550123")]
    assert (known[0], shape(known[1])) == (new[0], shape(new[1]))
    assert list(known[2]) == list(new[2])
    for field in ("status", "attempts_remaining", "sends_remaining", "country"):
        assert known[1][field] == new[1][field]


async def test_a_refusal_does_not_reveal_the_limit_to_a_front_end(start):
    """A10: with a client token, limits of number, prefix, day and peer get the same response, except wait and id."""
    responses = []
    for setting in ("otp_limit_number", "otp_limit_prefix", "otp_limit_day", "otp_limit_peer"):
        running = await start(**{setting: "1/1h"})
        issued = await running.issue()
        token = {"key": issued["client_token"]}
        await running.call("GET", f"/v1/verifications/{issued['id']}", **token)  # uses up the peer's limit
        status, body, headers = await running.call("POST", f"/v1/verifications/{issued['id']}/resend", **token)
        assert body.pop("retry_after") == int(headers["Retry-After"])
        assert body.pop("request_id") == headers["X-Request-Id"]
        responses.append((status, body, sorted(headers)))
    assert responses[0] == responses[1] == responses[2] == responses[3]
    assert responses[0][0] == 429


async def test_an_unknown_id_runs_the_same_script_as_a_known_one(start, redis):
    """A10: checks of known and unknown ids run one script each, so the duration reveals as little as the id."""
    running = await start(otp_worker=False)
    issued = await running.issue()

    async def scripts_of(verification_id):
        before = redis.info("commandstats")["cmdstat_evalsha"]["calls"]
        path = f"/v1/verifications/{verification_id}/verify"
        status, _, _ = await running.call("POST", path, {"code": "000000"})
        return status, redis.info("commandstats")["cmdstat_evalsha"]["calls"] - before

    async def least(verification_id):
        """Repeat the check, because a background script of the service may run at the same moment."""
        return min([await scripts_of(verification_id) for _ in range(3)])

    await scripts_of(issued["id"])  # both scripts are loaded now
    assert await least(issued["id"]) == (200, 1)
    assert await least(issued["id"][:-4] + "0000") == (404, 1)


def apart(some, others):
    """Return by how many standard errors the mean times differ (Welch, 1947), without the slowest tenth of each."""
    kept = [sorted(times)[: len(times) * 9 // 10] for times in (some, others)]
    error = sum(statistics.variance(times) / len(times) for times in kept) ** 0.5
    return (statistics.mean(kept[0]) - statistics.mean(kept[1])) / error


async def times_of_known_and_new(start):
    """Issue for known and new numbers in random order; return the duration of each issue."""
    running = await start(otp_worker=False, otp_limit_number="1000/1h", otp_limit_failed_checks="1000/1d")
    known = [f"+1202555{number:04d}" for number in range(20)]
    new = iter(f"+1415555{number:04d}" for number in range(PAIRS))
    for number in known:
        for _ in range(3):
            await running.verify((await running.issue(number))["id"], "0000")
    times = {True: [], False: []}
    for is_known in random.sample([True, False], k=2 * PAIRS, counts=[PAIRS, PAIRS]):
        number = random.choice(known) if is_known else next(new)
        started = time.perf_counter()
        await running.issue(number)
        times[is_known].append(time.perf_counter() - started)
    return times[True], times[False]


@pytest.mark.alone
async def test_a_known_number_takes_no_longer(start):
    """A10: issues for known and new numbers differ in duration by no more than chance, and by under 1 ms."""
    known, new = await times_of_known_and_new(start)
    assert abs(apart(known, new)) < MARGIN
    assert abs(statistics.median(known) - statistics.median(new)) < 0.001


@pytest.mark.alone
async def test_the_measurement_detects_half_a_millisecond(start, monkeypatch):
    """Control of A10: a store that takes half a millisecond longer for known numbers is detected."""
    seen, keep = set(), RedisVerifications.issue

    async def dawdle(store, new, digest):
        if new.to in seen:
            time.sleep(0.0005)  # noqa: ASYNC251 - that is the fault
        seen.add(new.to)
        return await keep(store, new, digest)

    monkeypatch.setattr(RedisVerifications, "issue", dawdle)
    assert apart(*await times_of_known_and_new(start)) > MARGIN
