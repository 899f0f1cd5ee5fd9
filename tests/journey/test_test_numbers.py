"""Test numbers over HTTP: a fixed code, no message and no confirmation; otherwise like any number."""

import pytest

PATH = "/v1/verifications"
TEST_NUMBER, CODE = "+14155550100", "4930275"
NUMBER = "+14155550123"
SETTING = f"{TEST_NUMBER}:{CODE}, +442079460000:1234"


async def resend(running, issued):
    """Request the next send; return (status, body)."""
    status, body, _ = await running.call("POST", f"{PATH}/{issued['id']}/resend")
    return status, body


@pytest.fixture
async def testing(start):
    """Run a service with test numbers."""
    return await start(otp_test_numbers=SETTING)


async def test_a_test_number_is_sent_nothing_and_its_code_approved(testing, settled, redis):
    """The response is an ordinary 201 with the send `unknown`; no message is sent and nothing is pending."""
    issued = await testing.issue(TEST_NUMBER, code_length=5)
    assert (issued["status"], issued["code_length"], issued["expires_at"] > issued["created_at"]) == (
        "pending",
        7,
        True,
    )
    [send] = issued["sends"]
    assert (send["status"], send["error_code"], send["feedback"]) == ("unknown", None, "none")
    checked = await testing.verify(issued["id"], CODE, to=TEST_NUMBER)
    assert (checked["verdict"], checked["valid"], checked["sends"][0]["feedback"]) == ("approved", True, "none")
    assert (await testing.verify(issued["id"], CODE))["verdict"] == "used"
    assert testing.sandbox.ledger.messages() == []
    assert not [key for key in redis.scan_iter("otp:*:outbox") if redis.zcard(key)]


async def test_the_response_has_the_usual_fields(testing):
    """The response has exactly the fields of a real number's."""
    test, real = await testing.issue(TEST_NUMBER), await testing.issue(NUMBER)
    assert (list(test), list(test["sends"][0])) == (list(real), list(real["sends"][0]))
    test, real = await testing.verify(test["id"], "000000"), await testing.verify(real["id"], "000000")
    assert list(test) == list(real)


async def test_a_resend_to_a_test_number_keeps_its_code(testing):
    """Every send of a test number has the same code, and none is sent."""
    issued = await testing.issue(TEST_NUMBER)
    for number in (2, 3):
        status, resent = await resend(testing, issued)
        assert (status, [send["status"] for send in resent["sends"]]) == (200, ["unknown"] * number)
    assert (await testing.verify(issued["id"], CODE))["verdict"] == "approved"
    assert testing.sandbox.ledger.messages() == []


async def test_an_idempotency_key_works_for_a_test_number(testing):
    """A repeated request gets the first response, and there is one verification."""
    keyed = {"Idempotency-Key": "a"}
    first, again = [await testing.call("POST", PATH, {"to": TEST_NUMBER}, headers=keyed) for _ in range(2)]
    assert first[:2] == again[:2]
    issued = first[1]
    sent = [await testing.call("POST", f"{PATH}/{issued['id']}/resend", headers={"Idempotency-Key": "b"}) for _ in "ab"]
    assert [len(body["sends"]) for _, body, _ in sent] == [2, 2]


async def test_a_test_number_is_checked_like_any_other(testing):
    """Wrong codes cost attempts, and after the last one the fixed code is not compared."""
    issued = await testing.issue(TEST_NUMBER)
    for left in (4, 3, 2, 1, 0):
        checked = await testing.verify(issued["id"], "0000000")
        assert (checked["verdict"], checked["attempts_remaining"]) == ("wrong_code", left)
    assert (await testing.verify(issued["id"], CODE))["verdict"] == "locked"


@pytest.mark.parametrize("limit", ["otp_limit_number", "otp_limit_prefix", "otp_limit_country", "otp_limit_day"])
async def test_limits_apply_to_test_numbers(start, limit):
    """Developers can test how they handle limits: a test number counts for each like any other."""
    running = await start(otp_test_numbers=SETTING, **{limit: "2/1h"})
    statuses = [(await running.call("POST", PATH, {"to": TEST_NUMBER}))[0] for _ in range(3)]
    assert statuses == [201, 201, 429]
