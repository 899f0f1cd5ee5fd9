"""Replies over real HTTP: which messages answer which verification, what they cost, and what strangers can do."""

import asyncio
import re
from uuid import uuid4

import aiohttp
import pytest
from twilio.request_validator import RequestValidator

from service.core.actions import reply
from service.core.actions.words import WORDS
from tests.conftest import NUMBER

OTHER_NUMBER = "+14155550124"
STRANGER = "+12025550199"
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


def words_in(running, place=-1):
    """Return the two words of a message, as the person reads them."""
    [words] = reply.found_in(running.messages()[place].body)
    return words


def other_words(*taken):
    """Return two words that are in none of these texts."""
    used = {word for text in taken for word in text.split()}
    return " ".join([word for word in WORDS if word not in used][:2])


async def state(running, issued):
    """Return status, attempts left and feedback of the sends."""
    read = await running.read(issued["id"])
    return read["status"], read["attempts_remaining"], [send["feedback"] for send in read["sends"]]


@pytest.fixture
async def quiet(start, fault):
    """Start a service that writes nothing by itself: it has no worker, and gets no callbacks."""
    running = await start(otp_worker=False)
    fault(running, "callbacks", "drop")
    return running


async def ask(running, to=NUMBER):
    """Issue a verification that asks for a reply."""
    return await running.issue(to, action="reply")


async def resend(running, issued):
    status, _, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/resend")
    assert status == 200


async def test_a_reply_approves_and_confirms(running, send_in, settled):
    """The two words of the message and the word on the screen approve; that message is confirmed, once."""
    issued = await ask(running)
    assert issued["match"] in WORDS
    assert f"reply to this message with: {words_in(running)} and the word" in running.messages()[-1].body
    assert issued["match"] not in running.messages()[-1].body.split()
    assert await send_in(running, f"{words_in(running)} {issued['match']}") == 200
    assert (await state(running, issued))[0] == "approved"
    assert await settled(running) == [("confirmed", 1)]


async def test_the_response_is_empty_twiml(running):
    """Twilio is asked for nothing, so an answer costs no message and tells nobody anything."""
    path = "/twilio/message"
    for body in ("hello", "maple cabin"):
        fields = {"MessageSid": "SM" + "1" * 32, "From": NUMBER, "Body": body}
        signature = RequestValidator("sandbox-auth-token").compute_signature(running.url + path, fields)
        async with running.http.post(path, data=fields, headers={"X-Twilio-Signature": signature}) as response:
            assert (response.status, await response.text()) == (200, EMPTY)
            assert response.headers["Content-Type"].startswith("text/xml")


@pytest.mark.parametrize(
    "write",
    [
        "{match} {words}",
        "\U0001f44d \u201c{words}\u201d \u2014 {match} \U0001f3de\ufe0f thanks!",
        "> {text}\n\n{match}",
        "{text} {match}",
        "{words}.\n{match}\n--\nSent from my phone",
    ],
)
async def test_what_stands_around_the_words_does_not_matter(running, send_in, write):
    """Emoji, quotes, the quoted message and other words around the three words change nothing, nor does their case."""
    issued = await ask(running)
    text = running.messages()[-1].body
    body = write.format(words=words_in(running), match=issued["match"], text=text)
    await send_in(running, body.upper())
    assert (await state(running, issued))[0] == "approved"


@pytest.mark.parametrize("sent_back", ["its words", "all of it"])
async def test_a_message_that_is_sent_back_costs_nothing(running, send_in, settled, sent_back):
    """Who only repeats the message confirms its receipt, and approves nothing: the right answer may follow."""
    issued = await ask(running)
    repeated = words_in(running) if sent_back == "its words" else running.messages()[-1].body
    for _ in range(6):
        await send_in(running, repeated)
    assert (await state(running, issued))[:2] == ("pending", 5)
    assert await settled(running) == [("confirmed", 1)]
    await send_in(running, f"{words_in(running)} {issued['match']}")
    assert (await state(running, issued))[0] == "approved"


async def test_without_the_word_on_the_screen_nothing_is_approved(running, send_in, settled):
    """The words with a wrong third one confirm the receipt, at the price of an attempt, and approve nothing."""
    issued = await ask(running)
    wrong = other_words(words_in(running), issued["match"]).split()[0]
    await send_in(running, f"{words_in(running)} {wrong}")
    assert (await state(running, issued))[:2] == ("pending", 4)
    assert await settled(running) == [("confirmed", 1)]
    await send_in(running, f"{words_in(running)} {issued['match']}")
    assert (await state(running, issued))[0] == "approved"
    assert await settled(running) == [("confirmed", 1)]


@pytest.mark.parametrize("body", ["STOP", "yes", "Who is this?", "482913", "maple and cabin", "", "{one}", "{match}"])
async def test_what_is_no_answer_costs_nothing(quiet, send_in, redis, body):
    """A message without two words of the list side by side changes nothing at all."""
    issued = await ask(quiet)
    before = {key: redis.dump(key) for key in redis.scan_iter("otp:{*}:v:*")}
    await send_in(quiet, body.format(one=words_in(quiet).split()[0], match=issued["match"]))
    assert {key: redis.dump(key) for key in redis.scan_iter("otp:{*}:v:*")} == before


async def test_wrong_words_cost_an_attempt_until_it_is_locked(running, send_in, settled):
    """Wrong words cost an attempt each; after the last one the right ones are worth nothing."""
    issued = await ask(running)
    wrong = other_words(words_in(running), issued["match"])
    for left in (4, 3, 2, 1, 0):
        await send_in(running, f"{wrong} {issued['match']}")
        assert (await state(running, issued))[1] == left
    await send_in(running, f"{words_in(running)} {issued['match']}")
    assert await state(running, issued) == ("max_attempts_reached", 0, ["none"])
    assert await settled(running) == [("unconfirmed", 0)]


async def test_more_than_four_words_are_one_wrong_answer(running, send_in):
    """Whoever sends many words has guessed once and wrongly, even if the right ones are among them."""
    issued = await ask(running)
    right = f"{words_in(running)} {issued['match']}"
    await send_in(running, f"{right} {other_words(right)}")
    assert await state(running, issued) == ("pending", 4, ["none"])


async def test_a_wrong_answer_counts_against_no_number(start, send_in):
    """A sender can be forged: wrong words neither limit nor stop the number, whoever sends them."""
    running = await start(otp_limit_failed_checks="2/1h")
    for _ in range(3):
        issued = await ask(running)
        for _ in range(6):
            await send_in(running, other_words(words_in(running), issued["match"]))
        assert (await state(running, issued))[0] == "max_attempts_reached"
    issued = await running.issue()
    code = re.search("[0-9]{6}", running.messages()[-1].body)[0]
    assert (await running.verify(issued["id"], code))["verdict"] == "approved"


async def test_a_forged_sender_approves_nothing(running, send_in):
    """The words without their number approve nothing, and another number's verifications lose no attempt."""
    issued = await ask(running)
    right = f"{words_in(running)} {issued['match']}"
    for sender in (STRANGER, "72975", "Acme", "", "+", "whatsapp:" + NUMBER, "+1" * 500, "+14155550123 OR 1"):
        await send_in(running, right, sender=sender)
    assert await state(running, issued) == ("pending", 5, ["none"])


async def test_the_words_decide_among_two_verifications(running, send_in):
    """Of two verifications of a number the one whose words they are is approved; the other loses no attempt."""
    first, second = await ask(running), await ask(running)
    await send_in(running, f"{words_in(running, 0)} {first['match']}")
    assert (await state(running, first))[0] == "approved"
    assert await state(running, second) == ("pending", 5, ["none"])
    await send_in(running, other_words(words_in(running, 0), words_in(running, 1)))
    assert (await state(running, second))[1] == 4
    await send_in(running, f"{words_in(running, 1)} {first['match']}")  # the other one's match
    assert (await state(running, second))[:2] == ("pending", 3)
    await send_in(running, f"{words_in(running, 1)} {second['match']}")
    assert (await state(running, second))[0] == "approved"


async def test_other_actions_of_the_number_are_left_alone(running, send_in):
    """A reply costs no attempt of a code, password or link of the same number."""
    others = [await running.issue(action=action) for action in ("code", "password", "link")]
    issued = await ask(running)
    await send_in(running, other_words(words_in(running), issued["match"]))
    assert (await state(running, issued))[1] == 4
    assert [(await state(running, other))[1] for other in others] == [5, 5, 5]


async def test_an_answer_to_an_older_message_confirms_that_one(running, send_in, settled):
    """The words of the first message still approve after a second one, and confirm the first alone."""
    issued = await ask(running)
    await resend(running, issued)
    assert words_in(running, 0) != words_in(running, 1)
    await send_in(running, f"{words_in(running, 0)} {issued['match']}")
    assert (await state(running, issued))[0] == "approved"
    assert await settled(running) == [("confirmed", 1), ("unconfirmed", 0)]


async def test_words_of_two_messages_are_no_answer_to_one(running, send_in):
    """One word of each of two messages is a wrong answer."""
    issued = await ask(running)
    await resend(running, issued)
    mixed = f"{words_in(running, 0).split()[0]} {words_in(running, 1).split()[1]}"
    await send_in(running, f"{mixed} {issued['match']}")
    assert await state(running, issued) == ("pending", 4, ["none", "none"])


@pytest.mark.parametrize("how", ["canceled", "expired", "approved"])
async def test_late_words_confirm_and_approve_nothing(running, send_in, settled, grow_older, how):
    """After the end the right words change no status; their message did arrive, so it is confirmed, once."""
    issued = await ask(running)
    if how == "canceled":
        await running.call("POST", f"/v1/verifications/{issued['id']}/cancel")
    elif how == "expired":
        grow_older(issued["id"], 601)
    else:
        await resend(running, issued)
        await send_in(running, f"{words_in(running, 1)} {issued['match']}")
    for _ in range(2):
        await send_in(running, f"{words_in(running, 0)} {issued['match']}")
    assert (await state(running, issued))[0] == how
    assert (await settled(running))[0] == ("confirmed", 1)


async def test_a_replayed_message_changes_nothing(running, send_in, grow_older):
    """A MessageSid is decided once, however often and how late it comes, also for a verification issued since."""
    issued = await ask(running)
    wrong, sid = other_words(words_in(running), issued["match"]), f"SM{uuid4().hex}"
    for _ in range(4):
        await send_in(running, wrong, sid=sid)
    assert (await state(running, issued))[1] == 4
    grow_older(issued["id"], 120)
    await send_in(running, wrong, sid=sid)
    assert (await state(running, issued))[1] == 4
    later = await ask(running)
    await send_in(running, wrong, sid=sid)
    assert (await state(running, later))[1] == 5
    await send_in(running, wrong)
    assert ((await state(running, issued))[1], (await state(running, later))[1]) == (3, 4)


async def test_a_forged_webhook_changes_nothing(quiet, send_in, redis):
    """Without Twilio's signature over this address and every field the right words get 403 and change nothing."""
    issued = await ask(quiet)
    right = f"{words_in(quiet)} {issued['match']}"
    before = set(redis.scan_iter())
    for forged in (
        {"token": "another-token"},
        {"signed_url": "https://elsewhere.example/twilio/message"},
        {"headers": {"X-Twilio-Signature": ""}},
    ):
        assert await send_in(quiet, right, forged=forged) == 403
    assert await state(quiet, issued) == ("pending", 5, ["none"])
    assert set(redis.scan_iter()) == before


@pytest.mark.parametrize("kind", ["STOP", "START", "HELP", "NEW"])
async def test_what_twilio_has_answered_is_left_alone(running, send_in, kind):
    """A message with an OptOutType is Twilio's: even the right words change nothing."""
    issued = await ask(running)
    await send_in(running, f"{words_in(running)} {issued['match']}", OptOutType=kind)
    assert await state(running, issued) == ("pending", 5, ["none"])


async def test_an_opt_out_in_between_does_not_end_it(running, send_in, settled):
    """After STOP and START the words still approve: keywords are between the person and Twilio."""
    issued = await ask(running)
    for kind in ("STOP", "START"):
        await send_in(running, kind, OptOutType=kind)
    await send_in(running, f"{words_in(running)} {issued['match']}")
    assert (await state(running, issued))[0] == "approved"
    assert await settled(running) == [("confirmed", 1)]


async def test_the_receiving_number_does_not_matter(running, send_in):
    """A pool sends by one number and receives by another: the words decide, not the number."""
    issued = await ask(running)
    pool = {"To": "+15005550009", "MessagingServiceSid": "MG" + "0" * 32}
    await send_in(running, f"{words_in(running)} {issued['match']}", **pool)
    assert (await state(running, issued))[0] == "approved"


async def test_strangers_cost_a_bounded_amount_of_work(quiet, send_in, redis):
    """A message of a number of which nothing is expected runs one script, makes no key and uses up nothing."""
    issued = await ask(quiet)
    await send_in(quiet, "maple cabin", sender=STRANGER)  # the script is loaded now
    keys, started = set(redis.scan_iter()), redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    senders = [f"+1202555{number:04d}" for number in range(50)]
    assert await asyncio.gather(*(send_in(quiet, "maple cabin", sender=sender) for sender in senders)) == [200] * 50
    await asyncio.gather(*(send_in(quiet, "who is this?", sender=sender) for sender in senders))
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] - started == 50
    assert set(redis.scan_iter()) == keys
    assert await state(quiet, issued) == ("pending", 5, ["none"])


async def test_a_large_or_malformed_message_is_refused(quiet, redis):
    """A body over 32 KiB, of another type or of unreadable bytes is refused, and no key is made."""
    before, typed = set(redis.scan_iter()), {"Content-Type": "application/x-www-form-urlencoded"}
    for headers, body, expected in (
        (typed, b"Body=" + b"x" * 33_000, 413),
        ({"Content-Type": "application/json"}, b"{}", 415),
        (typed, b"\xff\xfe=%ff", 403),
        (typed, b"", 403),
    ):
        async with quiet.http.post("/twilio/message", data=body, headers=headers) as response:
            assert response.status == expected
    assert set(redis.scan_iter()) == before


async def test_the_longest_message_is_taken(running, send_in):
    """1,600 characters of four bytes are read, and the right words among the first of them are found."""
    issued = await ask(running)
    right = f"{words_in(running)} {issued['match']} "
    assert await send_in(running, right + "\U0001f44d" * (1600 - len(right))) == 200
    assert (await state(running, issued))[0] == "approved"


@pytest.mark.parametrize("sid", ["", "SM1", "CA" + "0" * 32, "x" * 5000])
async def test_a_message_without_an_id_is_ignored(running, send_in, sid):
    """What has no MessageSid could not be told from its repeat, so nothing is decided."""
    issued = await ask(running)
    fields = {"MessageSid": sid, "SmsSid": "SM" + "0" * 32}
    assert await send_in(running, f"{words_in(running)} {issued['match']}", **fields) == 200
    assert (await state(running, issued))[1] == 5


async def test_a_reply_that_cannot_come_is_refused_before_anything_is_sent(start):
    """A sender of letters receives nothing; without a public address, or to a test number, no reply would come."""
    for overrides, code in (
        ({"twilio_from": "Acme"}, "sender_cannot_receive"),
        ({"otp_public_url": None}, "invalid_request"),
        ({"otp_test_numbers": f"{NUMBER}:493027", "otp_allow_test_numbers": True}, "invalid_request"),
    ):
        running = await start(**overrides)
        status, problem, _ = await running.call("POST", "/v1/verifications", {"to": NUMBER, "action": "reply"})
        assert (status, problem["code"]) == (422, code)
        assert running.messages() == []


async def test_neither_words_nor_match_are_logged(start, send_in, redis):
    """The log has the verification and the verdict; not the body, the words, the match or the sender."""
    lines = []
    running = await start(event_log=lambda event, /, **fields: lines.append((event, fields)))
    issued = await ask(running)
    wrong = other_words(words_in(running), issued["match"])
    for body in (f"{words_in(running)} {wrong}", wrong, f"{words_in(running)} {issued['match']}"):
        await send_in(running, body)
    [*_, last] = [fields for event, fields in lines if event == "request" and fields["route"] == "/twilio/message"]
    assert (last["verification_id"], last["verdict"]) == (issued["id"], "approved")
    told = str(lines)
    for secret in (*words_in(running).split(), *wrong.split(), issued["match"], NUMBER):
        assert f"'{secret}'" not in told
        assert f"{secret} " not in told
    stored = b" ".join(key + (redis.dump(key) or b"") for key in redis.scan_iter())
    assert not any(f"{word} ".encode() in stored for word in words_in(running).split())
    assert NUMBER.encode() not in stored


async def test_nobody_types_the_words_elsewhere(running, send_in):
    """`verify` refuses the words in every field: nobody may be talked out of them."""
    issued = await ask(running)
    for body in ({"code": "123456"}, {"password": "7KQ2M-X40BT"}):
        status, problem, _ = await running.call("POST", f"/v1/verifications/{issued['id']}/verify", body)
        assert (status, problem["code"]) == (409, "wrong_action")
    assert await state(running, issued) == ("pending", 5, ["none"])


async def test_a_get_is_refused(running):
    """The webhook takes POST alone: a GET signs its query, which proxies log."""
    async with aiohttp.ClientSession() as http, http.get(running.url + "/twilio/message?Body=x") as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")
