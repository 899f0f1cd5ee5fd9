"""Bypassing limits: forwarded headers (A6), spellings of one number (A7), neighbouring numbers and the bill (A8)."""

import random

import pytest

from service.config.settings import isolated_settings

NUMBER = "+14155550123"


async def issue_statuses(running, numbers, **fields):
    """Issue for each number; return the statuses."""
    return [(await running.call("POST", "/v1/verifications", {"to": number, **fields}))[0] for number in numbers]


def forged_headers(count):
    """Make headers in which a caller claims a different address each time."""
    names = ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "X-Client-IP", "CF-Connecting-IP"]
    for number in range(count):
        address = f"198.51.100.{number % 250}"
        value = f"for={address};proto=https" if (name := names[number % len(names)]) == "Forwarded" else address
        yield {name: value}


async def read_with_token(running, issued, headers):
    """Read with the client token; return the status."""
    path = f"/v1/verifications/{issued['id']}"
    return (await running.call("GET", path, key=issued["client_token"], headers=headers))[0]


async def test_without_a_trusted_proxy_no_header_changes_the_address(start):
    """A6: with OTP_TRUSTED_PROXIES=0 the peer limit sees one address, whatever headers a caller sends."""
    running = await start(otp_limit_peer="20/1h")
    issued = await running.issue()
    statuses = [await read_with_token(running, issued, headers) for headers in forged_headers(60)]
    assert statuses == [200] * 20 + [429] * 40


@pytest.mark.slow
@pytest.mark.parametrize("proxies", [0, 1])
async def test_a_thousand_forged_addresses_count_as_one(start, proxies):
    """A6 at length: a thousand random headers, direct and through one proxy that appends its own, are one address."""
    running = await start(otp_limit_peer="20/1h", otp_trusted_proxies=proxies)
    issued = await running.issue()
    statuses = []
    for forged in forged_headers(1_000):
        written = [value for name, value in forged.items() if name == "X-Forwarded-For"]
        forwarded = {"X-Forwarded-For": ", ".join([*written, "192.0.2.7"])} if proxies else {}
        statuses.append(await read_with_token(running, issued, {**forged, **forwarded}))
    assert statuses == [200] * 20 + [429] * 980


async def test_behind_one_proxy_only_its_entry_counts(start):
    """A6: with OTP_TRUSTED_PROXIES=1 the last address counts, however many the caller wrote before it."""
    running = await start(otp_limit_peer="20/1h", otp_trusted_proxies=1)
    issued = await running.issue()
    statuses = []
    for number in range(40):
        written = ", ".join(f"203.0.113.{random.randrange(250)}" for _ in range(number % 4))
        headers = {"X-Forwarded-For": f"{written}, 192.0.2.7".lstrip(", "), "X-Real-IP": f"198.51.100.{number}"}
        statuses.append(await read_with_token(running, issued, headers))
    assert statuses == [200] * 20 + [429] * 20
    assert await read_with_token(running, issued, {"X-Forwarded-For": "192.0.2.7, 192.0.2.8"}) == 200


async def test_an_ipv6_network_is_one_peer(start):
    """A6: addresses of one /64 share a limit, those of another have their own; mapped IPv4 counts as IPv4."""
    running = await start(otp_limit_peer="5/1h", otp_trusted_proxies=1)
    issued = await running.issue()

    async def read_as(address):
        return await read_with_token(running, issued, {"X-Forwarded-For": address})

    rotated = [await read_as(f"2001:db8:1:2:{random.randrange(65535):x}::{number:x}") for number in range(1, 9)]
    assert rotated == [200] * 5 + [429] * 3
    assert await read_as("2001:db8:1:3::1") == 200
    mapped = [await read_as(address) for address in ["192.0.2.9", "::ffff:192.0.2.9"] * 3]
    assert mapped == [200] * 5 + [429]


async def test_the_client_ip_of_an_issue_is_limited_by_network(start):
    """A6: OTP_LIMIT_IP counts the `client_ip` that a back end names, IPv6 by /64, and no header."""
    running = await start(otp_limit_ip="3/1h")
    numbers = [f"+1415555{number:04d}" for number in range(6)]
    statuses = []
    for place, (number, forged) in enumerate(zip(numbers, forged_headers(6), strict=True)):
        request = {"to": number, "client_ip": f"2001:db8::{place + 1:x}"}
        statuses.append((await running.call("POST", "/v1/verifications", request, headers=forged))[0])
    assert statuses == [201] * 3 + [429] * 3


SPELLINGS = [
    "+1 415 555 0123", "+1-415-555-0123", "+1 (415) 555-0123", "(415) 555-0123", "4155550123", "14155550123",
    "0014155550123", "01114155550123", "+14155550123 ", " +14155550123", "+14155550123\n", "\t+14155550123",
    "+14155550123\u0000", "tel:+14155550123", "tel:+1-415-555-0123;phone-context=+1", "sip:+14155550123@a.example",
    "\uff0b14155550123", "+\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff10\uff11\uff12\uff13",
    "+1415555012\u0663", "+1415555012\u09e9", "+1\u200b4155550123", "\u200b+14155550123", "+14155550123\u200b",
    "\u202d+14155550123\u202c", "+1\u00a04155550123", "+1\u20114155550123", "+14155550123;ext=9", "+14155550123 ext. 9",
    "+14155550123x9", "+14155550123,,123#", "+14155550123#", "++14155550123", "+ 14155550123", "+014155550123",
    "+1.415.555.0123", "+1/415/555/0123", "+1415555012B", "+1415KKK0123", "+1415-KLM-0123", "+1%204155550123",
    "+14155550123&to=+1", "+14155550123\r\nX: y", "+114155550123", "+1415555012", "+141555501234567890",
    "whatsapp:+14155550123", "messenger:14155550123", "\ufeff+14155550123",
]  # fmt: skip


async def test_no_spelling_gets_a_number_a_second_limit(start):
    """A7: each of 48 other spellings of one number counts for that number or is refused."""
    running = await start(otp_limit_number="1/1h")
    assert len(set(SPELLINGS)) >= 40
    assert await issue_statuses(running, [NUMBER, NUMBER]) == [201, 429]
    responses = [await running.call("POST", "/v1/verifications", {"to": spelling}) for spelling in SPELLINGS]
    assert {status for status, _, _ in responses} == {422, 429}
    assert {body["code"] for _, body, _ in responses} == {"invalid_number", "rate_limited"}
    assert len(running.sandbox.ledger.messages()) == 1


async def test_two_dialling_forms_of_a_line_are_one_number(start):
    """A7: a line with two dialling forms, as in Argentina and Mexico, has one limit and one E.164 form."""
    running = await start(otp_limit_number="1/1h", otp_countries="")
    for spellings in (
        ("+541123456789", "+5491123456789", "+54 11 15 2345-6789"),
        ("+5215512345678", "+525512345678"),
        ("+44 07911 123456", "+447911123456", "+44 (0)7911 123456"),
    ):
        assert await issue_statuses(running, spellings) == [201] + [429] * (len(spellings) - 1)
    sent_to = {message.to for message in running.sandbox.ledger.messages()}
    assert sent_to == {"+5491123456789", "+525512345678", "+447911123456"}


async def test_neighbouring_numbers_share_the_limit_of_their_prefix(start):
    """A8: numbers that differ in the last four digits share OTP_LIMIT_PREFIX; another block does not."""
    running = await start(otp_limit_prefix="25/1h")
    block = [f"+1415555{number:04d}" for number in random.sample(range(10_000), 60)]
    statuses = await issue_statuses(running, block)
    assert statuses == [201] * 25 + [429] * 35
    assert await issue_statuses(running, ["+12025550123"]) == [201]
    assert len(running.sandbox.ledger.messages()) == 26


@pytest.mark.slow
async def test_a_thousand_numbers_of_one_block_stop_at_its_limit(start):
    """A8 at length: of 1,000 numbers in one block, `OTP_LIMIT_PREFIX` get a message, by default 100."""
    defaults = isolated_settings()
    running = await start(otp_limit_prefix=defaults.otp_limit_prefix, otp_limit_day=defaults.otp_limit_day)
    statuses = await issue_statuses(running, [f"+1415555{number:04d}" for number in range(1_000)])
    assert statuses == [201] * 100 + [429] * 900
    assert len(running.sandbox.ledger.messages()) == 100


@pytest.mark.slow
async def test_a_thousand_numbers_of_many_blocks_stop_at_the_daily_limit(start):
    """A8 at length: a pumper who uses a hundred blocks is stopped exactly at the daily limit."""
    running = await start(otp_limit_prefix="100/1h", otp_limit_day="250/1d")
    statuses = await issue_statuses(running, [f"+1415{200 + place % 100}{place:04d}" for place in range(1_000)])
    assert (statuses.count(201), statuses.count(429)) == (250, 750)
    assert len(running.sandbox.ledger.messages()) == 250


@pytest.mark.parametrize(("setting", "numbers"), [("otp_limit_country", 12), ("otp_limit_day", 12)])
async def test_the_bill_has_a_ceiling(start, setting, numbers):
    """A8: numbers of many prefixes stop at the limits of the country and of the day."""
    running = await start(**{setting: "8/1d"})
    spread = [f"+1{area}5550123" for area in (201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214)][:numbers]
    statuses = await issue_statuses(running, spread)
    assert statuses == [201] * 8 + [429] * 4
    assert len(running.sandbox.ledger.messages()) == 8


async def test_a_refused_resend_keeps_the_current_code(start):
    """A8 (InsForge PR 1940): a resend that a limit refuses sends nothing, and the first code stays valid."""
    running = await start(otp_limit_number="1/1h")
    issued = await running.issue()
    status, _, headers = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert (status, int(headers["Retry-After"]) > 0) == (429, True)
    assert len(running.messages()) == 1
    assert (await running.verify(issued["id"], *running.codes()))["verdict"] == "approved"


async def test_resends_and_issues_share_the_limit_of_the_number(start):
    """A8: resends count like issues, so that together they cannot exceed the limit."""
    running = await start(otp_limit_number="3/1h")
    issued = await running.issue()
    assert (await running.call("POST", f"/v1/verifications/{issued['id']}/resend"))[0] == 200
    assert await issue_statuses(running, [NUMBER, NUMBER]) == [201, 429]
    assert (await running.call("POST", f"/v1/verifications/{issued['id']}/resend"))[0] == 429


async def test_resends_of_an_ended_verification_use_up_no_shared_limit(start):
    """A8: a client token of an ended verification cannot block other numbers: the status is checked before limits."""
    running = await start(otp_limit_prefix="3/1h")
    issued = await running.issue()
    assert (await running.verify(issued["id"], *running.codes()))["verdict"] == "approved"
    for _ in range(5):
        path = f"/v1/verifications/{issued['id']}/resend"
        status, body, _ = await running.call("POST", path, key=issued["client_token"])
        assert (status, body["code"]) == (409, "not_pending")
    assert await issue_statuses(running, ["+14155550124"]) == [201]


@pytest.mark.parametrize("endpoint", ["issue", "resend"])
async def test_a_limited_number_uses_up_no_shared_limit(start, endpoint):
    """A8: repeats that the number's own limit refuses send nothing, so they must not block other numbers."""
    running = await start(otp_limit_number="1/1h", otp_limit_prefix="5/1h")
    issued = await running.issue()
    for _ in range(6):
        if endpoint == "issue":
            assert await issue_statuses(running, [NUMBER]) == [429]
        else:
            path = f"/v1/verifications/{issued['id']}/resend"
            assert (await running.call("POST", path, key=issued["client_token"]))[0] == 429
    assert await issue_statuses(running, ["+14155550124"]) == [201]
