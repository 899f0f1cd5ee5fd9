"""The loop, end to end over real HTTP."""


async def test_the_right_code_is_approved_and_exactly_its_message_is_confirmed(running, eventually):
    """A right code approves the verification, and `confirmed` is posted for its SID only."""
    issued = await running.issue()
    [code] = running.codes()
    checked = await running.verify(issued["id"], code)
    assert (checked["valid"], checked["verdict"], checked["status"]) == (True, "approved", "approved")
    [message] = running.messages()
    assert await eventually(running.confirmed) == {message.sid}
    assert message.provide_feedback is True
    assert await eventually(lambda: feedback_of(running, issued["id"])) == ["confirmed"]


async def feedback_of(running, verification_id):
    """Return the feedback of each send once one is `confirmed`."""
    feedback = [send["feedback"] for send in (await running.read(verification_id))["sends"]]
    return feedback if "confirmed" in feedback else None


async def test_of_two_sends_the_one_whose_code_was_typed_is_confirmed(running, eventually):
    """With two sends and the first one's code typed, exactly the first SID is confirmed (promise 3)."""
    issued = await running.issue()
    status, resent, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert (status, len(resent["sends"])) == (200, 2)
    first, second = running.messages()
    checked = await running.verify(issued["id"], running.codes()[0])
    assert checked["verdict"] == "approved"
    assert await eventually(running.confirmed) == {first.sid}
    assert second.sid not in running.confirmed()
