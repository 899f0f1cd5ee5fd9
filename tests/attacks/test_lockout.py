"""Locking a user out (A3, A4): an attacker's wrong codes do not affect a victim's verification, up to NIST's limit."""

import pytest

from service.sandbox import FaultPlan

NUMBER = "+14155550123"
HARD_STOP = 100  # NIST SP 800-63B-4 3.2.2


async def attacker_types(running, count):
    """Check this many wrong codes on the attacker's verifications for the victim's number, five on each."""
    for start in range(0, count, 5):
        issued = await running.issue(NUMBER)
        guesses = [f"{guess:06d}" for guess in range(6) if f"{guess:06d}" != running.codes(NUMBER)[-1]]
        for guess in guesses[: min(5, count - start)]:
            assert (await running.verify(issued["id"], guess))["verdict"] == "wrong_code"


async def issue(running, to=NUMBER):
    """Request a code; return the status."""
    return (await running.call("POST", "/v1/verifications", {"to": to}))[0]


@pytest.mark.parametrize("failures", [20, 45])
async def test_an_attacker_cannot_lock_the_victims_verification(start, failures):
    """A3: as many wrong codes as a day allows, on other verifications of the number, do not affect the victim's."""
    running = await start(otp_limit_failed_checks="20/1d", otp_limit_number="10/1d")
    victim = await running.issue(NUMBER)
    [code] = running.codes(NUMBER)
    strange = [await running.issue(NUMBER) for _ in range(9)]
    guesses = [f"{guess:06d}" for guess in range(20) if f"{guess:06d}" not in running.codes(NUMBER)][:5]
    wrong = [(one["id"], guess) for one in strange for guess in guesses][:failures]
    typed = [await running.verify(*each) for each in wrong]
    assert {checked["verdict"] for checked in typed} == {"wrong_code"}
    assert await issue(running) == 429
    checked = await running.verify(victim["id"], code)
    assert (checked["verdict"], checked["attempts_remaining"]) == ("approved", 4)


async def test_the_hundredth_failure_in_a_row_stops_a_number_and_not_the_ninety_ninth(running, redis):
    """A4: after 99 failed checks a verification can be approved; 100 in a row stop all checks of the number."""
    victims = [await running.issue(NUMBER) for _ in range(3)]
    codes = running.codes(NUMBER)
    await attacker_types(running, HARD_STOP - 1)
    assert (await running.verify(victims[0]["id"], codes[0]))["verdict"] == "approved"
    await attacker_types(running, HARD_STOP - 1)  # the approval has reset the count
    assert (await running.verify(victims[1]["id"], codes[1]))["verdict"] == "approved"
    await attacker_types(running, HARD_STOP)
    checked = await running.verify(victims[2]["id"], codes[2])
    assert (checked["verdict"], checked["status"], checked["attempts_remaining"]) == ("locked", "pending", 5)
    assert await issue(running) == 429
    assert (await running.call("POST", f"/v1/verifications/{victims[2]['id']}/resend"))[0] == 429
    assert len(running.messages()) == 3 + 3 * HARD_STOP // 5
    assert await issue(running, "+12025550123") == 201


@pytest.mark.parametrize("fault", [{"kind": "refuse", "code": 21610}, {"kind": "429", "seconds": 30}])
async def test_guesses_on_refused_sends_block_nothing(start, fault):
    """A4: a verification whose message was refused counts no send; wrong codes on it block nothing either."""
    running = await start(otp_limit_failed_checks="20/1d", otp_limit_number="10/1d")
    running.sandbox.faults.plan(FaultPlan(endpoint="messages", count=21, **fault))
    for _ in range(21):
        status, problem, _ = await running.call("POST", "/v1/verifications", {"to": NUMBER})
        assert status in (422, 503), problem
        for _ in range(5):
            await running.call("POST", f"/v1/verifications/{problem['verification_id']}/verify", {"code": "000000"})
    victim = await running.issue(NUMBER)
    assert (await running.verify(victim["id"], running.codes(NUMBER)[-1]))["verdict"] == "approved"
