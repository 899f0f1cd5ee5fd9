"""The rules about checks: approvals, attempts and ends are correct, and the responses agree with each other."""

COUNTED = {"wrong_code", "approved", "mismatch", "expired", "superseded"}  # verdicts that always cost an attempt
ENDED = {"approved", "canceled", "max_attempts_reached", "failed"}


def approved_once(evidence):
    """Report a code that was approved twice or never sent, and repeats under one key with different verdicts."""
    for name, calls in evidence.of_verification.items():
        approved = [call for call in calls if call.verdict == "approved"]
        if len({call.group for call in approved}) > 1:
            yield "approved more than once", name
        if any(evidence.message_of(call) is None for call in approved):
            yield "approved a code that was not in any message", name
        for call in calls:
            if call.verdict and (call.body["valid"], call.body["id"]) != (call.verdict == "approved", name):
                yield f"valid={call.body['valid']} with verdict {call.verdict}", name
    for calls in answered_groups(evidence, "check"):
        if len({call.verdict for call in calls}) > 1:
            yield f"one key, different verdicts: {[call.verdict for call in calls]}", calls[0].verification_id


def attempts_counted(evidence):
    """Report attempts that differ from the checks: fewer than were compared, or more than were made or allowed."""
    most = int(evidence.settings["OTP_MAX_ATTEMPTS"])
    for name, read in evidence.read.items():
        groups = _check_groups(evidence, name)
        counted = sum(any(call.verdict in COUNTED for call in calls) for calls in groups)
        maybe = sum(any(call.is_open or call.verdict in {"used", "canceled"} for call in calls) for calls in groups)
        if counted > most:
            yield f"{counted} checks were compared, {most} are allowed", name
        if read is None:
            continue
        used = most - read["attempts_remaining"]
        if not min(counted, most) <= used <= counted + maybe:
            yield f"{used} attempts are used up; {counted} were compared, possibly {maybe} more", name


def ended_once(evidence):
    """Report a verification that ended twice or without a request, or was pending again after its end."""
    most = int(evidence.settings["OTP_MAX_ATTEMPTS"])
    for name, read in evidence.read.items():
        calls = evidence.of_verification.get(name, [])
        reported = [(call.started, call.ended, call.body["status"]) for call in calls if call.is_done]
        reported += [(float("inf"), float("inf"), read["status"])] if read else []
        ends = [(ended, status) for _, ended, status in reported if status in ENDED]
        if len({status for _, status in ends}) > 1:
            yield f"several ends: {sorted({status for _, status in ends})}", name
        replays = {id(call) for call in calls if call.is_replay}
        first_end = min((ended for ended, _ in ends), default=float("inf"))
        fresh = [(call.started, call.body["status"]) for call in calls if call.is_done and id(call) not in replays]
        if any(started > first_end and status == "pending" for started, status in fresh):
            yield "pending again after its end", name
        statuses = {status for _, status in ends}
        tried = [call for call in checks_of(evidence, name) if evidence.message_of(call)]
        if "approved" in statuses and not any(call.verdict == "approved" or call.is_open for call in tried):
            yield "approved, but no response said so", name
        if "canceled" in statuses and not any(
            call.operation == "cancel" and (call.is_done or call.is_open) for call in calls
        ):
            yield "canceled without a request to cancel", name
        if "max_attempts_reached" in statuses and len(_check_groups(evidence, name)) < most:
            yield "out of attempts with too few checks", name


def right_codes_accepted(evidence):
    """Report a sent code that was wrong, or superseded before a later send, and any response with a 500."""
    is_strict = evidence.settings.get("OTP_SUPERSEDE_CODES") == "true"
    for call in evidence.calls:
        name = call.verification_id
        if call.status in {404, 500} or (call.status == 422 and call.problem != "idempotency_key_reused"):
            yield f"returned {call.status} {call.problem}", name
        message = evidence.message_of(call) if call.verdict else None
        if message is None:
            continue
        if call.verdict == "wrong_code":
            yield f"the code of send {message.send} was wrong_code", name
        newer = [other for other in evidence.of_verification[name] if _adds_send_after(other, message.send)]
        is_sent = any(other.send > message.send for other in evidence.sent[name])
        if call.verdict == "superseded" and not is_sent and not newer:
            yield f"the code of send {message.send} was superseded without a later send", name
        started = min(other.started for other in evidence.by_group[call.group])
        if is_strict and call.verdict == "approved" and any(other.is_done and other.ended < started for other in newer):
            yield f"approved the code of send {message.send} after a later send", name


def checks_of(evidence, name):
    """Return the checks of a verification."""
    return [call for call in evidence.of_verification.get(name, ()) if call.operation == "check"]


def _check_groups(evidence, name):
    return [evidence.by_group[group] for group in {call.group for call in checks_of(evidence, name)}]


def answered_groups(evidence, operation):
    """Return the successful calls of each group that was repeated."""
    groups = (calls for calls in evidence.by_group.values() if len(calls) > 1 and calls[0].operation == operation)
    return [done for calls in groups if (done := [call for call in calls if call.is_done])]


def _adds_send_after(call, send):
    """Return whether a call is a resend that added, or may have added, a later send."""
    if call.operation != "resend":
        return False
    return call.status is None or (call.is_done and call.body["sends"][-1]["number"] > send)
