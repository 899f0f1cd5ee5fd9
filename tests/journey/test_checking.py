"""Verify over HTTP: every verdict, which code is valid, what attempts cost, and which message is confirmed."""

import asyncio

PATH = "/v1/verifications"


async def resend(running, verification_id):
    """Send the next code; return its message's code and the response body."""
    status, body, _ = await running.call("POST", f"{PATH}/{verification_id}/resend")
    assert status == 200, body
    return running.codes()[-1], body


async def cancel(running, verification_id):
    """Cancel a verification; return the response body."""
    status, body, _ = await running.call("POST", f"{PATH}/{verification_id}/cancel")
    assert status == 200, body
    return body


async def verdicts(running, verification_id, *codes):
    """Check codes one after the other; return their verdicts."""
    return [(await running.verify(verification_id, code))["verdict"] for code in codes]


async def test_a_right_code_is_approved_once_and_used_afterwards(running, settled):
    """The first check is `approved`, every later one `used`; the message is confirmed once (A5)."""
    issued = await running.issue()
    [code] = running.codes()
    approved = await running.verify(issued["id"], code)
    assert (approved["valid"], approved["verdict"], approved["status"]) == (True, "approved", "approved")
    again = await running.verify(issued["id"], code)
    assert (again["valid"], again["verdict"], again["status"]) == (False, "used", "approved")
    assert await settled(running) == [("confirmed", 1)]
    assert await verdicts(running, issued["id"], code) == ["used"]
    assert await settled(running) == [("confirmed", 1)]


async def test_a_code_is_normalised(running):
    """Spaces, dashes, invisible characters and other scripts' digits make the same code, also for repeats."""
    issued = await running.issue()
    [code] = running.codes()
    arabic = "".join(chr(0x660 + int(digit)) for digit in code)
    path, key = f"{PATH}/{issued['id']}/verify", {"Idempotency-Key": "check-1"}
    spellings = (f"{code[:3]}\u00a0{code[3:]}", code, f"\u200f{arabic}", f"{code[:3]}-{code[3:]}\n")
    responses = [await running.call("POST", path, {"code": typed}, headers=key) for typed in spellings]
    assert [(status, body["verdict"]) for status, body, _ in responses] == [(200, "approved")] * 4
    assert (await running.verify(issued["id"], arabic))["verdict"] == "used"


async def test_an_idempotency_key_repeats_the_verdict_for_its_own_caller_alone(running):
    """An approval is repeated for its own credential only: another one with the same Idempotency-Key gets `used`."""
    issued = await running.issue()
    [code] = running.codes()
    path, key = f"{PATH}/{issued['id']}/verify", {"Idempotency-Key": "check-1"}
    token = {"Authorization": f"Bearer {issued['client_token']}"}
    responses = [await running.call("POST", path, {"code": code}, headers=key | more) for more in ({}, token, {})]
    assert [body["verdict"] for _, body, _ in responses] == ["approved", "used", "approved"]


async def test_of_many_checks_at_once_one_is_approved(running, settled):
    """Of any number of simultaneous right codes one is approved, and one report is posted (promise 1)."""
    issued = await running.issue()
    [code] = running.codes()
    checks = await asyncio.gather(*(running.verify(issued["id"], code) for _ in range(20)))
    assert sorted(check["verdict"] for check in checks) == ["approved"] + ["used"] * 19
    assert await settled(running) == [("confirmed", 1)]


async def test_a_wrong_code_costs_an_attempt_and_posts_no_feedback(running, wrong, settled):
    """A wrong code is `wrong_code`, counts, and posts no feedback at all: never `unconfirmed` (promise 3)."""
    issued = await running.issue()
    checked = await running.verify(issued["id"], wrong(*running.codes()))
    assert (checked["valid"], checked["verdict"], checked["status"], checked["attempts_remaining"]) == (
        False, "wrong_code", "pending", 4,
    )  # fmt: skip
    assert await settled(running) == [("unconfirmed", 0)]
    assert running.sandbox.ledger.feedback() == []


async def test_after_the_last_attempt_nothing_is_compared(running, wrong, settled):
    """The fifth wrong code locks; then even the right one is `locked`, and its message is not confirmed (promise 6)."""
    issued = await running.issue()
    [code] = running.codes()
    assert await verdicts(running, issued["id"], *[wrong(code)] * 5) == ["wrong_code"] * 5
    checked = await running.verify(issued["id"], code)
    assert (checked["verdict"], checked["status"], checked["attempts_remaining"]) == (
        "locked", "max_attempts_reached", 0,
    )  # fmt: skip
    assert await settled(running) == [("unconfirmed", 0)]
    status, problem, _ = await running.call("POST", f"{PATH}/{issued['id']}/resend")
    assert (status, problem["code"]) == (409, "not_pending")


async def test_an_expired_code_is_never_approved_and_its_message_is_confirmed_once(running, grow_older, settled):
    """A right code after its expiry is `expired`; its message did arrive, so it is confirmed, once (A5)."""
    issued = await running.issue(ttl_seconds=60)
    [code] = running.codes()
    grow_older(issued["id"], 61)
    assert (await running.read(issued["id"]))["status"] == "expired"
    checked = await running.verify(issued["id"], code)
    assert (checked["valid"], checked["verdict"], checked["status"], checked["attempts_remaining"]) == (
        False, "expired", "expired", 4,
    )  # fmt: skip
    assert await settled(running) == [("confirmed", 1)]
    assert await verdicts(running, issued["id"], code) == ["expired"]
    assert await settled(running) == [("confirmed", 1)]
    status, problem, _ = await running.call("POST", f"{PATH}/{issued['id']}/resend")
    assert (status, problem["code"]) == (409, "not_pending")


async def test_each_send_has_its_own_expiry(running, grow_older, settled):
    """After a resend the first code keeps its expiry; the second still approves, and both are confirmed."""
    issued = await running.issue(ttl_seconds=60)
    grow_older(issued["id"], 40)
    await resend(running, issued["id"])
    grow_older(issued["id"], 30)
    first, second = running.codes()
    assert await verdicts(running, issued["id"], first, second) == ["expired", "approved"]
    assert await settled(running) == [("confirmed", 1), ("confirmed", 1)]


async def test_the_first_of_two_codes_is_accepted_and_only_its_message_confirmed(running, settled):
    """Users type the code of the first SMS that arrives: it is valid, and only its SID is confirmed (promise 3)."""
    issued = await running.issue()
    await resend(running, issued["id"])
    assert await verdicts(running, issued["id"], running.codes()[0]) == ["approved"]
    assert await settled(running) == [("confirmed", 1), ("unconfirmed", 0)]


async def test_with_supersede_codes_an_older_code_is_superseded_and_confirmed(start, settled):
    """With OTP_SUPERSEDE_CODES only the newest code approves; the older message still arrived."""
    running = await start(otp_supersede_codes=True)
    issued = await running.issue()
    await resend(running, issued["id"])
    first, second = running.codes()
    assert await verdicts(running, issued["id"], first, first) == ["superseded", "superseded"]
    assert (await running.read(issued["id"]))["status"] == "pending"
    assert await verdicts(running, issued["id"], second) == ["approved"]
    assert await settled(running) == [("confirmed", 1), ("confirmed", 1)]


async def test_with_supersede_codes_an_unsent_message_supersedes_nothing(start, fault):
    """If Twilio refuses the resend, or is busy, no newer code was sent: the earlier one stays valid."""
    running = await start(otp_supersede_codes=True)
    issued = await running.issue()
    fault(running, "messages", "429", count=1, seconds=30)
    status, _, _ = await running.call("POST", f"{PATH}/{issued['id']}/resend")
    assert status == 503
    fault(running, "messages", "refuse", code=30450, count=1)
    status, _, _ = await running.call("POST", f"{PATH}/{issued['id']}/resend")
    assert status == 422
    assert await verdicts(running, issued["id"], running.codes()[0]) == ["approved"]


async def test_another_sends_code_after_the_approval_is_used_and_confirmed_once(running, settled):
    """The second message also arrived: its code after the end approves nothing, and its SID is confirmed once."""
    issued = await running.issue()
    await resend(running, issued["id"])
    first, second = running.codes()
    assert await verdicts(running, issued["id"], first, second, second) == ["approved", "used", "used"]
    assert await settled(running) == [("confirmed", 1), ("confirmed", 1)]


async def test_a_code_after_the_cancel_is_canceled_and_confirmed_once(running, wrong, settled):
    """A canceled verification approves nothing; a right code still proves that its message arrived."""
    issued = await running.issue()
    assert (await cancel(running, issued["id"]))["status"] == "canceled"
    assert (await cancel(running, issued["id"]))["status"] == "canceled"
    [code] = running.codes()
    assert await verdicts(running, issued["id"], code, wrong(code)) == ["canceled", "wrong_code"]
    assert await settled(running) == [("confirmed", 1)]
    assert await verdicts(running, issued["id"], code) == ["canceled"]
    assert (await running.read(issued["id"]))["status"] == "canceled"
    assert await settled(running) == [("confirmed", 1)]


async def test_a_cancel_does_not_change_an_ended_verification(running):
    """A cancel after the approval leaves the verification approved."""
    issued = await running.issue()
    await running.verify(issued["id"], running.codes()[0])
    assert (await cancel(running, issued["id"]))["status"] == "approved"


async def test_a_code_typed_before_twilios_response_waits_for_its_sid(running, hold, feedback, eventually, settled):
    """If the SMS arrives before Twilio's response: approved at once, `awaiting_sid`, confirmed when the SID arrives."""
    held = hold(running)
    issuing = asyncio.create_task(running.issue())
    [message] = await eventually(running.messages)
    verification_id = message.status_callback.split("/status/")[1].split("/")[0]
    assert await verdicts(running, verification_id, *running.codes()) == ["approved"]
    assert await feedback(running, verification_id) == ["awaiting_sid"]
    assert running.confirmed() == set()
    held.deliver.set()
    held.responds.set()
    assert (await issuing)["id"] == verification_id
    assert await eventually(running.confirmed) == {message.sid}
    assert await settled(running) == [("confirmed", 1)]
    assert await feedback(running, verification_id) == ["confirmed"]


async def test_a_late_code_waits_for_its_sid_too(running, fault, grow_older, eventually, settled):
    """An expired code whose SID is unknown is never approved; its confirmation waits and is posted like any other."""
    fault(running, "messages", "lost_response", count=1)
    fault(running, "callbacks", "late", count=1, seconds=30)
    issued = await running.issue()
    assert await eventually(lambda: running.messages()[0].status == "delivered")  # and both callbacks are late
    assert await verdicts_later(running, grow_older, issued["id"]) == ["expired", "expired"]
    assert [send["feedback"] for send in (await running.read(issued["id"]))["sends"]] == ["awaiting_sid"]
    running.sandbox.faults.end()
    assert await eventually(running.confirmed) == {running.messages()[0].sid}
    assert await settled(running) == [("confirmed", 1)]


async def verdicts_later(running, grow_older, verification_id):
    """Let the codes expire, check each twice, return the verdicts."""
    grow_older(verification_id, 601)
    return await verdicts(running, verification_id, *running.codes() * 2)


async def test_an_end_stays_readable(running, grow_older, wrong):
    """Reading always shows whether a verification is approved, expired, locked, canceled or pending."""
    ids = [(await running.issue())["id"] for _ in range(5)]
    codes = running.codes()
    await running.verify(ids[0], codes[0])
    grow_older(ids[1], 601)
    await verdicts(running, ids[2], *[wrong(*codes)] * 5)
    await cancel(running, ids[3])
    shown = [(await running.read(verification_id))["status"] for verification_id in ids]
    assert shown == ["approved", "expired", "max_attempts_reached", "canceled", "pending"]


async def test_rotated_keys_still_work_for_earlier_sends(start):
    """After a rotation the codes, numbers and client tokens of the old key work as well as those of the new one."""
    old, new = "o1d-" + "Kq7vR2mX9wLz" * 3, "n3w-" + "Tb5yH8cJ4sGd" * 3
    index = "Wd6pN3fV8kQr" * 3
    before = await start(otp_secret_keys=old, otp_index_key=index)
    issued = await before.issue()
    after = await start(otp_secret_keys=f"{new},{old}", otp_index_key=index)
    status, shown, _ = await after.call("GET", f"{PATH}/{issued['id']}", key=issued["client_token"])
    assert (status, shown["status"]) == (200, "pending")
    assert await verdicts(after, issued["id"], *before.codes()) == ["approved"]
