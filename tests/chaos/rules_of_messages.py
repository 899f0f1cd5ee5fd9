"""The rules about messages: which were sent and confirmed, how often, and what is left of them."""

import json
import re
from itertools import pairwise

from tests.chaos.evidence import moment
from tests.chaos.plan import SERVER_FAULTS
from tests.chaos.rules_of_checks import answered_groups, checks_of

RIGHT_CODE = {"approved", "expired", "superseded", "used", "canceled"}  # verdicts of a right code
SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SETTLEMENT_SECONDS = 2.0  # Twilio's response may take one of them
SID_STORED_SECONDS = 15.0  # a running process has stored a known SID by then, whatever outage was planned


def confirmed_exactly(evidence):
    """Report a message that was confirmed without a right code, or had one and was not confirmed."""
    ids = {message.sid for message in evidence.messages}
    for post in evidence.feedback:
        if post["outcome"] != "confirmed" or post["sid"] not in ids:
            yield f"feedback {post['outcome']} for {post['sid']}", None
    for message in evidence.messages:
        name = message.verification_id
        typed = [call for call in checks_of(evidence, name) if call.code == message.code]
        is_confirmed = message.outcome == "confirmed"
        if is_confirmed and not any(call.is_open or call.verdict in RIGHT_CODE for call in typed):
            yield f"confirmed {message.sid}, but no check had its code", name
        feedback = (_send(evidence, message) or {}).get("feedback")
        if not is_confirmed and feedback != "awaiting_sid" and any(_was_compared(call) for call in typed):
            yield f"did not confirm {message.sid} after a check with its code; feedback is {feedback}", name
        if is_confirmed and feedback not in {"confirmed", None}:
            yield f"confirmed {message.sid}, but its feedback is {feedback}", name
        if not is_confirmed and feedback == "confirmed":
            yield f"feedback of {message.sid} is confirmed, but Twilio has no such report", name


def repeated_confirmations_explained(evidence):
    """Report a confirmation posted twice unless a server was killed or frozen before it was settled."""
    for name, first, second in repeated_confirmations(evidence):
        posted_at = moment(first["at"])
        settled_by = posted_at + SETTLEMENT_SECONDS
        # While Redis is unavailable a settlement waits for it.
        settled_by = max([settled_by, *(one.ended + SETTLEMENT_SECONDS for one in evidence.outages(settled_by))])
        servers = range(len(evidence.ports))
        if not any(evidence.was_hit(one, posted_at - 0.5, settled_by, SERVER_FAULTS) for one in servers):
            waited = moment(second["at"]) - posted_at
            yield f"{first['sid']} was confirmed again after {waited:.1f} s, and no server had a fault meanwhile", name


def repeated_confirmations(evidence):
    """Return the confirmations posted again after a success: verification, first post and second post."""
    accepted = {}
    for post in evidence.feedback:
        if post["status"] == 200:
            accepted.setdefault(post["sid"], []).append(post)
    names = {message.sid: message.verification_id for message in evidence.messages}
    return [(names.get(sid), *pair) for sid, posts in accepted.items() for pair in pairwise(posts)]


def one_key_one_message(evidence):
    """Report a request that sent two messages, and one that was refused each time but sent a message."""
    of_request = {}
    for name, messages in evidence.sent.items():
        reference = (evidence.read.get(name) or {}).get("reference")
        of_request.setdefault(reference, []).extend(one for one in messages if one.send == 1)
        if len({message.send for message in messages}) < len(messages):
            yield "one send, two messages", name
        if len({message.code for message in messages}) < len(messages):
            yield "two sends carry the same code", name
        resends = {call.group for call in evidence.of_verification.get(name, ()) if call.operation == "resend"}
        asked = sum(not _all_refused(evidence.by_group[group]) for group in resends)
        if sum(message.send > 1 for message in messages) > asked:
            yield f"{asked} resends were requested and not refused, but more messages were sent", name
    for group, messages in of_request.items():
        if group is None:  # no record: `limits_enforced` reports that
            continue
        if len(messages) > 1:
            yield f"request {group} sent {len(messages)} messages", messages[0].verification_id
        if messages and _all_refused(evidence.by_group[group]):
            yield f"request {group} was refused each time, but a message was sent", messages[0].verification_id


def one_key_one_response(evidence):
    """Report a repeat with another response than the first request; a stored one must be equal byte for byte."""
    for calls in (*answered_groups(evidence, "issue"), *answered_groups(evidence, "resend")):
        if len({_stable_part(call) for call in calls}) > 1:
            yield "one key, two different responses", calls[0].verification_id
        kept = {json.dumps(call.body, sort_keys=True) for call in calls if call.is_replay or not evidence.injected}
        if len(kept) > 1:
            yield "one key, two different stored responses", calls[0].verification_id


def limits_enforced(evidence):
    """Report a number or a verification with more messages than its limits allow."""
    most = int(evidence.settings["OTP_MAX_SENDS"])
    instants = {}
    for name, messages in evidence.sent.items():
        if len(messages) > most:
            yield f"{len(messages)} messages, {most} are allowed", name
        sends = {send["number"]: send for send in (evidence.read.get(name) or {}).get("sends", ())}
        for message in messages:
            if message.send not in sends:
                yield f"a message was sent for send {message.send}, which has no record", name
            else:
                sent_at = moment(sends[message.send]["sent_at"])
                instants.setdefault(message.number, []).append((sent_at, name))
    for limit in evidence.settings["OTP_LIMIT_NUMBER"].split(","):
        count, seconds, unit = re.fullmatch(r"(\d+)/(\d+)([smhd])", limit).groups()
        window = int(seconds) * SPANS[unit]
        for sent in instants.values():
            ordered = sorted(sent)
            for (since, _), (until, name) in zip(ordered, ordered[int(count) :], strict=False):
                if until - since < window - 0.0005:
                    yield f"over {limit}: {int(count) + 1} sends in {until - since:.3f} s", name


def nothing_left(evidence):
    """Report confirmations left in the outbox or failed, and sends without a SID that is known."""
    for sid in (*evidence.outbox, *evidence.failed):
        yield f"{sid} is left in the outbox", next((m.verification_id for m in evidence.messages if m.sid == sid), None)
    for member in evidence.awaiting_sid:
        name, number = member.split("|")
        sends = (evidence.read.get(name) or {}).get("sends", ())
        if not any((send["number"], send["feedback"]) == (int(number), "awaiting_sid") for send in sends):
            yield f"send {number} is counted as awaiting its SID, but is not", name
    for message in evidence.messages:
        send = _send(evidence, message)
        if send is None or (send["status"] != "unknown" and send["feedback"] != "awaiting_sid"):
            continue
        name = message.verification_id
        if any(post["sid"] == message.sid and post["result"] == 204 for post in evidence.callbacks):
            yield f"send {message.send} has no SID, although a callback had it", name
        server = evidence.ports.index(message.server_port)
        is_lost = evidence.was_hit(server, message.accepted_at, message.accepted_at + SID_STORED_SECONDS)
        if not is_lost and any(_shows_status(call, message.send) for call in evidence.of_verification.get(name, ())):
            yield f"send {message.send} has no SID, although Twilio's response had it", name


def keys_expire(evidence):
    """Report Redis keys without a TTL, API keys excepted."""
    for key in evidence.without_ttl:
        yield f"{key} has no TTL", None


def _all_refused(calls):
    """Return whether every call of a group has a response and none succeeded."""
    return not any(call.is_done or call.status is None for call in calls)


def _was_compared(call):
    """Return whether a check certainly compared its code and found it right."""
    # Without attempts left no code is compared, and an ended verification returns how it ended.
    if call.verdict in {"used", "canceled"}:
        return call.body["attempts_remaining"] > 0
    return call.verdict in RIGHT_CODE


def _send(evidence, message):
    """Return the send of a message from the final state of its verification."""
    sends = (evidence.read.get(message.verification_id) or {}).get("sends", ())
    return next((send for send in sends if send["number"] == message.send), None)


def _stable_part(call):
    """Return the part of a response that a repeat must share, even if the response could not be stored."""
    sends = [(send["number"], send["sent_at"]) for send in call.body["sends"]]
    return json.dumps([call.body["id"], call.body["created_at"], sends[: 1 if call.operation == "issue" else 2]])


def _shows_status(call, send):
    """Return whether a response shows that Twilio has responded to a send."""
    sends = call.body.get("sends", ()) if call.is_done and call.operation in {"issue", "resend"} else ()
    return any(one["number"] == send and one["status"] != "unknown" for one in sends)
