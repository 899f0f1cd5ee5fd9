"""What answers tell: nothing about a number, neither by their form nor by their time (A10)."""

import random
import statistics
import time

import pytest

from service.store.verifications import RedisVerifications

NUMBER = "+14155550123"
PAIRS = 400
MARGIN = 4.5  # standard errors, crossed by chance once in 140,000 runs


def shape(value):
    """Reduce an answer to its form: names and types, no content."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    return [shape(part) for part in value] if isinstance(value, list) else type(value).__name__


async def test_a_number_that_is_known_looks_like_one_that_is_not(running):
    """A10: the answer to an issue has the same form and headers whether the number was ever seen before."""
    issued = await running.issue()
    await running.verify(issued["id"], *running.codes())
    known, new = [await running.call("POST", "/v1/verifications", {"to": to}) for to in (NUMBER, "+12025550123")]
    assert (known[0], shape(known[1])) == (new[0], shape(new[1]))
    assert list(known[2]) == list(new[2])
    for field in ("status", "attempts_remaining", "sends_remaining", "country"):
        assert known[1][field] == new[1][field]


async def test_a_refusal_does_not_tell_a_front_end_which_limit_was_reached(start):
    """A10: to a client token a limited number, prefix, day and peer answer alike but for the wait."""
    responses = []
    for setting in ("otp_limit_number", "otp_limit_prefix", "otp_limit_day", "otp_limit_peer"):
        running = await start(**{setting: "1/1h"})
        issued = await running.issue()
        token = {"key": issued["client_token"]}
        await running.call("GET", f"/v1/verifications/{issued['id']}", **token)  # uses up what the peer has
        status, body, headers = await running.call("POST", f"/v1/verifications/{issued['id']}/resend", **token)
        assert body.pop("retry_after") == int(headers["Retry-After"])
        responses.append((status, body, sorted(headers)))
    assert responses[0] == responses[1] == responses[2] == responses[3]
    assert responses[0][0] == 429


async def test_an_unknown_id_takes_the_same_path_as_a_known_one(start, redis):
    """A10: checks of known and unknown ids cost one script each, so that time tells as little as the id does."""
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
    """Say by how many standard errors the mean times differ (Welch, 1947), the slowest tenth of each left out."""
    kept = [sorted(times)[: len(times) * 9 // 10] for times in (some, others)]
    error = sum(statistics.variance(times) / len(times) for times in kept) ** 0.5
    return (statistics.mean(kept[0]) - statistics.mean(kept[1])) / error


async def times_of_known_and_new(start):
    """Issue for numbers with a past and numbers without, in random order; give the seconds that each issue took."""
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
async def test_a_number_that_is_known_takes_no_longer(start):
    """A10: issues for numbers with a past and without differ in time by no more than chance, and by under 1 ms."""
    known, new = await times_of_known_and_new(start)
    assert abs(apart(known, new)) < MARGIN
    assert abs(statistics.median(known) - statistics.median(new)) < 0.001


@pytest.mark.alone
async def test_the_measure_sees_half_a_millisecond(start, monkeypatch):
    """Control of A10: a store that spends half a millisecond more on numbers it knows is noticed."""
    seen, keep = set(), RedisVerifications.issue

    async def dawdle(store, new, digest):
        if new.to in seen:
            time.sleep(0.0005)  # noqa: ASYNC251 - that is the fault
        seen.add(new.to)
        return await keep(store, new, digest)

    monkeypatch.setattr(RedisVerifications, "issue", dawdle)
    assert apart(*await times_of_known_and_new(start)) > MARGIN
