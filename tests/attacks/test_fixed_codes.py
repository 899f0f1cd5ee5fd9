"""Fixed codes: knowing a test number and its code proves that number only, and gives access to nothing else."""

import json
import random

import pytest

TEST_NUMBER, CODE = "+14155550100", "493027"
NUMBER = "+14155550123"


async def test_the_code_of_a_test_number_is_wrong_for_other_numbers(start):
    """For any other number a message is sent, and the fixed code is a wrong code like any guess."""
    running = await start(otp_test_numbers=f"{TEST_NUMBER}:{CODE}")
    neighbours = {f"+1415555{number:04d}" for number in random.sample(range(100, 1000), 15)} - {TEST_NUMBER}
    for number in neighbours:
        issued = await running.issue(number)
        [drawn] = running.codes(number)
        if drawn != CODE:  # one in a million
            assert (await running.verify(issued["id"], CODE))["verdict"] == "wrong_code"
            assert (await running.verify(issued["id"], drawn))["verdict"] == "approved"
    assert len(running.sandbox.ledger.messages()) == len(neighbours)


async def test_an_approval_of_a_test_number_cannot_be_swapped_for_another(start):
    """The fixed code with another number in `to` is a mismatch, and a back end that reads sees the test number."""
    running = await start(otp_test_numbers=f"{TEST_NUMBER}:{CODE}")
    issued = await running.issue(TEST_NUMBER)
    assert (await running.verify(issued["id"], CODE, to=NUMBER))["verdict"] == "mismatch"
    await running.verify(issued["id"], CODE)
    assert (await running.read(issued["id"]))["to"] == TEST_NUMBER


async def test_guesses_at_a_fixed_code_are_limited_like_any(start):
    """Failed checks of a test number block it across all its verifications: its code never changes."""
    running = await start(otp_test_numbers=f"{TEST_NUMBER}:{CODE}", otp_limit_failed_checks="7/1d")
    for _ in range(2):
        issued = await running.issue(TEST_NUMBER)
        for guess in ("000000", "111111", "222222", "333333"):
            assert (await running.verify(issued["id"], guess))["verdict"] == "wrong_code"
    status, body, _ = await running.call("POST", "/v1/verifications", {"to": TEST_NUMBER})
    assert (status, body["code"]) == (429, "rate_limited")


async def test_neither_test_number_nor_code_is_logged(start):
    """The log says only that nothing was sent, and for which verification."""
    lines = []
    settings = {"otp_test_numbers": f"{TEST_NUMBER}:{CODE}"}
    running = await start(event_log=lambda event, **fields: lines.append((event, fields)), **settings)
    issued = await running.issue(TEST_NUMBER)
    await running.verify(issued["id"], CODE)
    assert ("test_number_not_sent_to", {"verification_id": issued["id"], "send": 1}) in lines
    assert not [line for line in lines if CODE in str(line) or TEST_NUMBER[1:] in str(line)]


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.slow
async def test_test_numbers_are_logged_at_start(start, launch, workers):
    """`serve` warns once, with any number of workers, that test numbers are set, without listing them."""
    running = await start(otp_worker=False)
    with_them = await launch(running, arguments=["--workers", workers], OTP_TEST_NUMBERS=f"{TEST_NUMBER}:{CODE}")
    without = await launch(running)
    lines = [json.loads(line) for line in with_them.log.splitlines()]
    assert [line["level"] for line in lines if line["event"] == "test_numbers_set"] == ["warning"]
    assert "test_numbers_set" not in without.log
    assert CODE not in with_them.log
    assert TEST_NUMBER[1:] not in with_them.log
