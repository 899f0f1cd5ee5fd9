"""The budget of a day, limits and countries by channel: what they refuse, and what a send that failed gives back."""

import asyncio
from itertools import chain

import pytest

from service.core.prices import Money, read_prices
from service.core.texts.segments import measured
from tests.records import RawRecord

PATH = "/v1/verifications"
PRICES = read_prices("currency,USD\nUS,sms,0.01\n*,*,0.04")
TWO = {"otp_prices": PRICES, "otp_budget_day": Money(20_000, "USD")}  # two messages of one segment
NUMBERS = [f"+1415555{line:04}" for line in range(2000, 2020)]


async def outcomes(running, *numbers, **fields):
    """Issue for these numbers at the same time; return the sorted statuses."""
    calls = (running.call("POST", PATH, {"to": number, **fields}) for number in numbers)
    return sorted(status for status, *_ in await asyncio.gather(*calls))


def spent(redis):
    """Return what is counted of the budget, in millionths."""
    return sum(int(count) for key in redis.scan_iter("otp:limit:budget:*") for count in redis.hvals(key))


async def test_racing_sends_keep_to_the_budget(start, redis):
    """Of twenty issues at once on two services the budget pays two; the others say so and cost nothing."""
    first = await start(**TWO)
    second = await start(
        **TWO, otp_secret_keys=first.settings.otp_secret_keys, otp_index_key=first.settings.otp_index_key
    )
    statuses = await asyncio.gather(outcomes(first, *NUMBERS[:10]), outcomes(second, *NUMBERS[10:]))
    assert sorted(chain(*statuses)) == [201] * 2 + [429] * 18
    assert len(first.sandbox.ledger.messages()) + len(second.sandbox.ledger.messages()) == 2
    assert spent(redis) == 20_000
    status, problem, headers = await first.call("POST", PATH, {"to": NUMBERS[0]})
    assert (status, problem["code"], problem["limit"]) == (429, "rate_limited", "budget")
    assert problem["retry_after"] > 3600
    assert not [name for name in headers if name.lower().startswith("ratelimit")]


@pytest.mark.parametrize(
    ("plan", "status"),
    [({"kind": "refuse", "code": 21610}, 422), ({"kind": "refuse", "code": 21212}, 502), ({"kind": "429"}, 503)],
    ids=["of the recipient", "of the sender", "busy"],
)
async def test_what_was_not_sent_is_not_paid(start, redis, fault, plan, status):
    """Whatever Twilio refuses a message for: its money is given back, of an issue and of a resend."""
    running = await start(**TWO, otp_limit_number="9/1h")
    issued = await running.issue()
    fault(running, "messages", count=9, **plan)
    assert (await running.call("POST", f"{PATH}/{issued['id']}/resend"))[0] == status
    assert await outcomes(running, NUMBERS[1]) == [status]
    assert spent(redis) == 10_000


async def test_a_send_of_which_twilio_says_nothing_stays_paid(start, redis, fault):
    """A message that may have been sent costs its price."""
    running = await start(**TWO)
    fault(running, "messages", "500", count=1)
    assert (await running.issue())["sends"][0]["status"] == "unknown"
    assert spent(redis) == 10_000


async def test_a_repeated_request_is_paid_once(start, redis):
    """An issue and a resend that come again with their Idempotency-Keys cost what the first of them did."""
    running = await start(**TWO, otp_limit_number="9/1h")
    keyed = {"Idempotency-Key": "order-1"}
    answers = [await running.call("POST", PATH, {"to": NUMBERS[0]}, headers=keyed) for _ in range(3)]
    resend = f"{PATH}/{answers[0][1]['id']}/resend"
    assert {(await running.call("POST", resend, headers=keyed))[0] for _ in range(3)} == {200}
    assert (len(running.messages(NUMBERS[0])), spent(redis)) == (2, 20_000)


async def test_a_resend_that_a_limit_refuses_changes_nothing(start, redis):
    """A resend beyond the budget leaves the verification as it was: pending, with its code, sends and times."""
    once = {"otp_budget_day": Money(10_000, "USD"), "otp_limit_number": "9/1h"}
    running = await start(**{**TWO, **once}, sandbox={"delivery_seconds": 60})
    issued = await running.issue()
    before = RawRecord(redis, issued["id"]).all()
    status, problem, _ = await running.call("POST", f"{PATH}/{issued['id']}/resend")
    assert (status, problem["limit"]) == (429, "budget")
    assert RawRecord(redis, issued["id"]).all() == before
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == "approved"


async def test_a_long_message_costs_each_of_its_segments(start, redis):
    """A link in a language outside the SMS alphabet takes two segments, and costs both."""
    running = await start(**TWO)
    await running.issue(action="link", locale="ru")
    [message] = running.messages()
    assert spent(redis) == measured(message.body).segments * 10_000 == 20_000


async def test_a_channel_limit_caps_all_sends_by_it(start):
    """`OTP_LIMIT_SMS` counts all messages by SMS, whatever their number."""
    running = await start(otp_limit_sms="1/1h")
    await running.issue()
    status, problem, headers = await running.call("POST", PATH, {"to": NUMBERS[0]})
    assert (status, problem["limit"], headers["RateLimit-Policy"]) == (429, "sms", '"sms";q=1;w=3600')


async def test_a_country_of_another_channel_gets_no_sms(start):
    """A number whose country only another channel may send to is refused, and its key is free again."""
    running = await start(otp_countries="US", otp_countries_voice="DE,US")
    keyed = {"Idempotency-Key": "order-2"}
    for _ in range(2):
        status, problem, _ = await running.call("POST", PATH, {"to": "+4915112345678"}, headers=keyed)
        assert (status, problem["code"]) == (422, "country_not_allowed")
    assert await outcomes(running, "+33612345678") == [422]
    assert running.sandbox.ledger.messages() == []


async def test_the_metrics_show_the_budget(start):
    """`/metrics` shows the budget and what is used of it, in its currency."""
    running = await start(**TWO)
    await running.issue()
    async with running.http.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    assert 'otp_budget{currency="USD"} 0.02' in lines
    assert 'otp_budget_used{currency="USD"} 0.01' in lines
