"""Concurrent requests to Twilio: never more than the settings allow, and one that hangs delays no other."""

import asyncio

NUMBERS = [f"+1415555{n:04}" for n in range(6000, 6100)]


async def most_at_once(running):
    """Return the maximum of concurrent calls in the simulator."""
    async with running.http.get(f"{running.sandbox_url}/_/stats") as response:
        return (await response.json())["concurrent_max"]


async def hanging(running):
    """Return whether a call hangs in the simulator."""
    async with running.http.get(f"{running.sandbox_url}/_/stats") as response:
        return (await response.json())["concurrent_now"] >= 1


async def approve(running, to):
    """Issue a code to a number and check it."""
    issued = await running.issue(to)
    assert (await running.verify(issued["id"], running.codes(to)[-1]))["valid"]


async def test_concurrent_sends_are_limited(start, fault):
    """Of many simultaneous issues only as many as the setting allows are at Twilio; the others wait; all are sent."""
    running = await start(otp_sends_in_flight=3, otp_public_url="")
    fault(running, "messages", "slow", seconds=0.1)
    issued = await asyncio.gather(*(running.issue(to) for to in NUMBERS[:15]))
    assert {each["sends"][0]["status"] for each in issued} == {"queued"}
    assert await most_at_once(running) == 3


async def test_one_hanging_send_delays_no_other(start, fault, eventually):
    """While Twilio does not respond to one message, others are sent, even with two slots only."""
    running = await start(otp_sends_in_flight=2)
    fault(running, "messages", "hang", count=1, seconds=50)
    stuck = asyncio.create_task(running.issue(NUMBERS[0]))
    assert await eventually(lambda: hanging(running))
    async with asyncio.timeout(4):  # under the 5 s time-out of a call to Twilio
        issued = await asyncio.gather(*(running.issue(to) for to in NUMBERS[1:9]))
    assert {each["sends"][0]["status"] for each in issued} == {"queued"}
    assert not stuck.done()
    running.sandbox.faults.end()
    assert (await stuck)["sends"][0]["status"] == "unknown"


async def test_without_a_free_slot_an_issue_is_refused_and_not_sent(start, fault, eventually, posts):
    """While all slots are taken an issue is refused after a moment, with Retry-After; its code is never sent."""
    running = await start(otp_sends_in_flight=1, otp_limit_number="1/1h")
    fault(running, "messages", "hang", count=1, seconds=50)
    stuck = asyncio.create_task(running.issue(NUMBERS[0]))
    assert await eventually(lambda: hanging(running))
    async with asyncio.timeout(3):
        status, problem, headers = await running.call("POST", "/v1/verifications", {"to": NUMBERS[1]})
    assert (status, problem["code"], headers["Retry-After"]) == (503, "provider_unavailable", "5")
    running.sandbox.faults.end()
    await stuck
    assert await posts(running) == 1
    await running.issue(NUMBERS[1])  # its units were returned


async def test_concurrent_confirmations_are_limited(start, fault, eventually):
    """However many are pending, the worker posts only as many at once as the setting allows, and all once."""
    running = await start(otp_confirmations_in_flight=3, otp_public_url="")
    fault(running, "feedback", "slow", seconds=0.1)
    for to in NUMBERS[:20]:
        await approve(running, to)
    assert await eventually(lambda: len(running.confirmed()) == 20)
    assert {message.feedback_posts for message in running.sandbox.ledger.messages()} == {1}
    assert 3 <= await most_at_once(running) <= 3 + 1  # a message was sent meanwhile


async def test_one_hanging_confirmation_delays_no_other(start, fault, eventually):
    """While Twilio does not respond to one report, all others are posted, even with two slots only."""
    running = await start(otp_confirmations_in_flight=2)
    fault(running, "feedback", "hang", count=1, seconds=50)
    async with asyncio.timeout(4):
        for to in NUMBERS[:20]:
            await approve(running, to)
        assert await eventually(lambda: len(running.confirmed()) == 19)
    running.sandbox.faults.end()
    assert await eventually(lambda: len(running.confirmed()) == 20)


async def test_an_entry_of_another_process_is_found_within_the_poll(start, eventually):
    """A worker in another process finds the service's entry within its half-second poll, without a wake-up."""
    apart, elsewhere = await start(otp_worker=False), await start()
    await approve(apart, NUMBERS[0])
    [message] = apart.messages(NUMBERS[0])

    def is_reported():
        return message.sid in {post.sid for post in elsewhere.sandbox.ledger.feedback()}

    assert await eventually(is_reported, seconds=1.0)
