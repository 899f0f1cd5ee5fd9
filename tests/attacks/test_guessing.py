"""Guessing and replaying codes: resends (A3), parallel verifications (A4), other verifications (A5), odd codes (A9).

Replays of a used, expired, canceled or superseded code (A5) are tested in `tests/journey/test_checking.py`.
"""

import json
import re
import unicodedata

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core.keyring import CLIENT_TOKEN_PREFIX

NUMBER = "+14155550123"


def wrong(right, count=1):
    """Return wrong codes."""
    return [f"{guess:06d}" for guess in range(count + len(right)) if f"{guess:06d}" not in right][:count]


async def verdict_of(running, issued, code, **fields):
    """Check a code; return the verdict."""
    return (await running.verify(issued["id"], code, **fields))["verdict"]


async def resend(running, issued):
    """Resend; return the body of the response, which must be a 200."""
    status, body, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert status == 200, body
    return body


async def test_a_resend_gives_no_new_attempts(running):
    """A3: attempts are shared by all sends; after 3 wrong codes and a resend 2 are left (NIST SP 800-63B 3.2.2)."""
    issued = await running.issue()
    for code in wrong(running.codes(), 3):
        assert await verdict_of(running, issued, code) == "wrong_code"
    assert (await resend(running, issued))["attempts_remaining"] == 2
    for code in wrong(running.codes(), 2):
        assert await verdict_of(running, issued, code) == "wrong_code"
    assert [await verdict_of(running, issued, code) for code in running.codes()] == ["locked", "locked"]
    status, body, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert (status, body["code"]) == (409, "not_pending")


async def refusal_of_issue(running, to=NUMBER):
    """Request a code; return the problem's code and the wait, or None if it was sent."""
    status, body, headers = await running.call("POST", "/v1/verifications", {"to": to})
    return None if status == 201 else (body["code"], int(headers["Retry-After"]))


async def test_failed_checks_block_new_codes_for_a_number(start):
    """A3: the failed checks of a number outlive its verifications; at the limit it gets no new code by any route."""
    running = await start(otp_limit_failed_checks="7/1d")
    for _ in range(2):
        issued = await running.issue()
        for code in wrong(running.codes(), 4):
            assert await verdict_of(running, issued, code) == "wrong_code"
    code, wait_seconds = await refusal_of_issue(running)
    assert (code, 86_000 < wait_seconds <= 86_400) == ("rate_limited", True)
    status, body, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert (status, body["code"]) == (429, "rate_limited")
    assert await refusal_of_issue(running, "+12025550123") is None
    assert await verdict_of(running, issued, running.codes()[-1]) == "approved"


async def test_parallel_verifications_allow_five_guesses_each(start):
    """A4: each verification of a number allows 5 guesses; after them no new verification is issued that day."""
    running = await start(otp_limit_failed_checks="20/1d", otp_limit_number="10/1d")
    issued = [await running.issue() for _ in range(10)]
    assert (await refusal_of_issue(running))[0] == "rate_limited"
    seen = [await verdict_of(running, one, code) for code in wrong(running.codes(), 7) for one in issued]
    assert (seen.count("wrong_code"), seen.count("locked")) == (50, 20)
    assert (await refusal_of_issue(running))[0] == "rate_limited"
    other = await running.issue("+12025550123")
    assert await verdict_of(running, other, *running.codes("+12025550123")) == "approved"


async def test_an_approval_does_not_reset_the_daily_failures(start):
    """A3 (privacyidea#1578): an approval in between does not reduce the day's failed checks."""
    running = await start(otp_limit_failed_checks="6/1d")
    for _ in range(2):
        issued = await running.issue()
        for code in wrong(running.codes(), 3):
            assert await verdict_of(running, issued, code) == "wrong_code"
        assert await verdict_of(running, issued, running.codes()[-1]) == "approved"
    assert (await refusal_of_issue(running))[0] == "rate_limited"


async def test_a_code_is_valid_for_its_verification_only(running):
    """A5: other verifications, of the same number or of others, refuse a code."""
    issued, same_number, other = await running.issue(), await running.issue(), await running.issue("+12025550123")
    right = running.codes()[0]
    for stranger, to in ((same_number, NUMBER), (other, "+12025550123")):
        if right not in running.codes(to)[-1:]:
            assert await verdict_of(running, stranger, right) == "wrong_code"
    assert await verdict_of(running, issued, right) == "approved"


async def test_an_approval_cannot_be_swapped(running):
    """A5: a right code with another number or purpose than expected is a `mismatch`, and costs an attempt."""
    issued = await running.issue(purpose="login")
    [code] = running.codes()
    claims = [{"to": "+12025550123"}, {"purpose": "payment"}, {"to": "not a number"}, {"to": NUMBER, "purpose": "x"}]
    for attempts_left, claim in zip((4, 3, 2, 1), claims, strict=True):
        checked = await running.verify(issued["id"], code, **claim)
        assert (checked["verdict"], checked["valid"]) == ("mismatch", False)
        assert checked["attempts_remaining"] == attempts_left
    assert running.confirmed() == set()
    assert await verdict_of(running, issued, code, to=NUMBER, purpose="login") == "approved"


async def test_an_idempotency_key_gives_no_extra_guesses(running):
    """A9: a repeated key repeats its verdict; another code with it is refused uncompared; new keys cost attempts."""
    issued = await running.issue()
    path, [right] = f"/v1/verifications/{issued['id']}/verify", running.codes()
    guesses = wrong([right], 5)
    once = {"Idempotency-Key": "one"}
    first = await running.call("POST", path, {"code": guesses[0]}, headers=once)
    again = await running.call("POST", path, {"code": guesses[0]}, headers=once)
    assert [response[1]["attempts_remaining"] for response in (first, again)] == [4, 4]
    status, body, _ = await running.call("POST", path, {"code": right}, headers=once)
    assert (status, body["code"]) == (422, "idempotency_key_reused")
    for guess in guesses[1:]:
        await running.call("POST", path, {"code": guess}, headers={"Idempotency-Key": guess})
    status, body, _ = await running.call("POST", path, {"code": right}, headers={"Idempotency-Key": "last"})
    assert (status, body["verdict"]) == (200, "locked")


digits = st.sampled_from("0123456789\uff10\uff11\u0663\u096a\n\0 +-.eE")
odd_codes = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=64), st.text(digits, max_size=12),
    st.lists(st.text(digits, max_size=8), max_size=3), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.just(123456), st.just("1e5"), st.just("123456\n"),
    st.just("\uff11\uff12\uff13\uff14\uff15\uff16"), st.just(" 123456"), st.just("0x1234"), st.just("١٢٣-٤٥٦"),
)  # fmt: skip


def meant_code(code):
    """Normalise a code independently of the service: its digits, or None if it is not a code."""
    if not isinstance(code, str):
        return None
    is_dropped = re.compile("[\t\n\r \ufe00-\ufe0f\u20e3\u2212\u180b-\u180f\U000e0100-\U000e01ef]").match
    meant = [mark for mark in code if unicodedata.category(mark) not in ("Cf", "Pd", "Zs", "Zl", "Zp")]
    digits = [str(unicodedata.decimal(mark, "?")) for mark in meant if not is_dropped(mark)]
    return "".join(digits) if 4 <= len(digits) <= 8 and "?" not in digits else None


async def test_an_odd_code_is_never_a_500_or_an_approval(running):
    """A9: any value as the code gets a 400 or 422 without echo, or a counted check; it is never approved."""
    # Hypothesis runs in a synchronous function: the examples are drawn first, then sent over HTTP.
    examples = []

    @settings(max_examples=100, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(odd_codes)
    def draw(code):
        examples.append(code)

    draw()
    issued = await running.issue()
    path, [right] = f"/v1/verifications/{issued['id']}/verify", running.codes()
    attempts, refusal = 5, (await running.call("POST", path, {"code": "no code"}))[1]
    del refusal["request_id"]
    for code in examples:
        folded = meant_code(code)
        if folded == right:
            continue
        text = json.dumps({"code": code})
        status, body, _ = await running.call(
            "POST", path, headers={"Content-Type": "application/json"}, data=text.encode()
        )
        has_form = folded is not None
        assert status == 200 if has_form else status in (400, 422), (text, body)
        if has_form:
            attempts = max(0, attempts - 1)
            assert body["verdict"] in ("wrong_code", "locked")
        elif isinstance(code, str):
            # A search for the code would not do: Hypothesis also draws words of the service, which are in every answer.
            assert body == refusal | {"request_id": body["request_id"]}
    assert (await running.read(issued["id"]))["attempts_remaining"] == attempts


RAW_BODIES = [
    b"", b"{", b"[]", b'"123456"', b"123456", b"null", b"\xff\xfe", b'{"code": NaN}', b'{"code": 1e5}',
    b'{"code": "\\ud800"}', b'{"code": "12\\u0000456"}', b'{"code": "123456", "code": null}', b'{"code": ' * 400,
    b'{"code": "123456", "987654": 1}', b'{"code": "123456", "valid": true}', b"\xef\xbb\xbf" + b'{"code": "x"}',
]  # fmt: skip


async def test_an_odd_body_is_never_a_500_and_costs_no_attempt(running):
    """A9: an invalid check gets a 400 or 422 that repeats nothing of the body, and is not counted."""
    issued = await running.issue()
    path, sent = f"/v1/verifications/{issued['id']}/verify", {"Content-Type": "application/json"}
    for raw in RAW_BODIES:
        status, body, headers = await running.call("POST", path, headers=sent, data=raw)
        assert status in (400, 422), raw
        assert headers["Content-Type"] == "application/problem+json"
        assert "987654" not in json.dumps(body)
    assert (await running.read(issued["id"]))["attempts_remaining"] == 5


async def test_unknown_ids_of_any_form_get_the_same_404(running):
    """A9: malformed, foreign and never issued ids get the same response from every endpoint."""
    issued = await running.issue()
    never = "ve_" + "0" * 32
    odd = [never, issued["id"].upper(), issued["id"] + "%0a", "ve_..%2f..", "%00", issued["id"][:-1], "ve_" + "g" * 32]
    seen = set()
    for name in odd:
        for method, endpoint, body in (
            ("GET", "", None),
            ("POST", "/verify", {"code": "123456"}),
            ("POST", "/resend", None),
        ):
            status, problem, _ = await running.call(method, f"/v1/verifications/{name}{endpoint}", body)
            seen.add((status, problem["code"]))
    assert seen <= {(404, "unknown_verification"), (404, "not_found")}
    assert CLIENT_TOKEN_PREFIX not in str(seen)
