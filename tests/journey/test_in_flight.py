"""Requests to Twilio at once: never more than the settings say, and one that hangs holds up no other."""

import asyncio

NUMBERS = [f"+1415555{n:04}" for n in range(6000, 6100)]


async def most_at_once(running):
    """Ask the simulator how many of its calls were under way at once; this question is one."""
    async with running.http.get(f"{running.sandbox_url}/_/stats") as response:
        return (await response.json())["concurrent_max"]


async def hanging(running):
    """Tell whether a call hangs inside the simulator."""
    async with running.http.get(f"{running.sandbox_url}/_/stats") as response:
        return (await response.json())["concurrent_now"] >= 1


async def approve(running, to):
    """Issue a code to a number and type it."""
    issued = await running.issue(to)
    assert (await running.verify(issued["id"], running.codes(to)[-1]))["valid"]


async def test_no_more_sends_are_under_way_than_the_setting_says(start, fault):
    """Of many issues at once so many are at Twilio as the setting says; the others wait their turn; all are sent."""
    running = await start(otp_sends_in_flight=3, otp_public_url="")
    fault(running, "messages", "slow", seconds=0.1)
    issued = await asyncio.gather(*(running.issue(to) for to in NUMBERS[:15]))
    assert {each["sends"][0]["status"] for each in issued} == {"queued"}
    assert await most_at_once(running) == 3


async def test_one_hanging_send_holds_up_no_other(start, fault, eventually):
    """While Twilio leaves one message unanswered, others go out beside it, though there are two places only."""
    running = await start(otp_sends_in_flight=2)
    fault(running, "messages", "hang", count=1, seconds=50)
    stuck = asyncio.create_task(running.issue(NUMBERS[0]))
    assert await eventually(lambda: hanging(running))
    async with asyncio.timeout(4):  # under the 5 s that a call to Twilio may last
        issued = await asyncio.gather(*(running.issue(to) for to in NUMBERS[1:9]))
    assert {each["sends"][0]["status"] for each in issued} == {"queued"}
    assert not stuck.done()
    running.sandbox.faults.end()
    assert (await stuck)["sends"][0]["status"] == "unknown"


async def test_who_finds_no_place_at_twilio_hears_so_and_nothing_is_sent(start, fault, eventually, posts):
    """While all places are taken an issue is refused after a moment, with Retry-After; its code was never sent."""
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
    await running.issue(NUMBERS[1])  # its limit has been given back


async def test_no_more_confirmations_are_under_way_than_the_setting_says(start, fault, eventually):
    """However much is pending, the worker posts so many at once as the setting says, and in the end all, once each."""
    running = await start(otp_confirmations_in_flight=3, otp_public_url="")
    fault(running, "feedback", "slow", seconds=0.1)
    for to in NUMBERS[:20]:
        await approve(running, to)
    assert await eventually(lambda: len(running.confirmed()) == 20)
    assert {message.feedback_posts for message in running.sandbox.ledger.messages()} == {1}
    assert 3 <= await most_at_once(running) <= 3 + 1  # beside them, a message went out


async def test_one_hanging_confirmation_holds_up_no_other(start, fault, eventually):
    """While Twilio leaves one report unanswered, all others are taken beside it, though there are two hands only."""
    running = await start(otp_confirmations_in_flight=2)
    fault(running, "feedback", "hang", count=1, seconds=50)
    async with asyncio.timeout(4):
        for to in NUMBERS[:20]:
            await approve(running, to)
        assert await eventually(lambda: len(running.confirmed()) == 19)
    running.sandbox.faults.end()
    assert await eventually(lambda: len(running.confirmed()) == 20)


async def test_an_entry_of_another_process_is_found_within_the_poll(start, eventually):
    """A worker in another process posts what the service enqueued within its half-second poll, without being woken."""
    apart, elsewhere = await start(otp_worker=False), await start()
    await approve(apart, NUMBERS[0])
    [message] = apart.messages(NUMBERS[0])

    def is_told():
        return message.sid in {post.sid for post in elsewhere.sandbox.ledger.feedback()}

    assert await eventually(is_told, seconds=1.0)
