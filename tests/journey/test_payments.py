"""Payments over real HTTP: the message shows amount and payee, and the check must repeat them."""

import re

import pytest

from tests.conftest import NUMBER

PAYMENT = {"amount": "12.50 EUR", "payee": "Acme Books"}


def code_in(running):
    return re.search(r"\b[0-9]{6}\b", running.messages()[-1].body)[0]


async def verdict(running, issued, code, **payment):
    body = {"code": code, **payment}
    status, shown, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/verify", body)
    assert status == 200
    return shown["verdict"]


async def test_a_payment_is_approved_as_it_was_shown(running, settled):
    """The message shows the payment; only the check that repeats it approves; responses do not show it."""
    issued = await running.issue(**PAYMENT)
    assert running.messages()[-1].body.startswith("Pay 12.50 EUR to Acme Books\nYour Acme code is ")
    code = code_in(running)
    assert await verdict(running, issued, code) == "mismatch"
    assert await verdict(running, issued, code, **PAYMENT | {"amount": "1250 EUR"}) == "mismatch"
    assert await verdict(running, issued, code, amount="12.50 EUR") == "mismatch"
    read = await running.read(issued["id"])
    assert (read["attempts_remaining"], read["sends"][0]["feedback"]) == (2, "none")
    assert not {"amount", "payee"} & (read.keys() | issued.keys())
    assert await verdict(running, issued, code, **PAYMENT) == "approved"
    assert await settled(running) == [("confirmed", 1)]


async def test_the_next_message_shows_the_payment_again(running):
    """A front end asks for the next message without knowing the payment, and its code approves the same one."""
    issued = await running.issue(**PAYMENT)
    path = f"/v1/verifications/{issued['id']}"
    status, _, _ = await running.call("POST", f"{path}/resend", key=issued["client_token"])
    assert status == 200
    assert running.messages()[-1].body.startswith("Pay 12.50 EUR to Acme Books\n")
    assert await verdict(running, issued, code_in(running), **PAYMENT) == "approved"


@pytest.mark.parametrize(
    ("asked", "field", "sentence"),
    [
        ({"amount": "1 EUR"}, "/payee", "The message shows amount and payee together. Send both, or none of them."),
        ({"payee": "Acme"}, "/amount", "The message shows amount and payee together. Send both, or none of them."),
        (
            PAYMENT | {"action": "link"},
            "/amount",
            "A payment is approved by a code or a password, not by the action link.",
        ),
        (
            PAYMENT | {"payee": "evil.example"},
            "/payee",
            "This text looks like an address. Write a blank after each full stop.",
        ),
    ],
)
async def test_what_is_no_payment_is_refused(running, asked, field, sentence):
    """Half a payment, one of another action, and a payee that phones would link are refused in a sentence."""
    status, problem, _ = await running.call("POST", "/v1/verifications", {"to": NUMBER, **asked})
    assert (status, problem["errors"]) == (422, [{"pointer": field, "detail": sentence}])
