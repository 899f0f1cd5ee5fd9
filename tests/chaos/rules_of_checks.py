"""The rules about checks: what was approved, counted and ended, and whether the responses agree with one another."""

COUNTED = {"wrong_code", "approved", "mismatch", "expired", "superseded"}  # these cost an attempt, always
ENDED = {"approved", "canceled", "max_attempts_reached", "failed"}


def approved_once(evidence):
    """Approve a code at most once, and only a code that was sent; repeats under one key get the same verdict."""
    for name, calls in evidence.of_verification.items():
        approved = [call for call in calls if call.verdict == "approved"]
        if len({call.group for call in approved}) > 1:
            yield "approved more than once", name
        if any(evidence.message_of(call) is None for call in approved):
            yield "approved a code that no message carried", name
        for call in calls:
            if call.verdict and (call.body["valid"], call.body["id"]) != (call.verdict == "approved", name):
                yield f"valid={call.body['valid']} beside {call.verdict}", name
    for calls in answered_groups(evidence, "check"):
        if len({call.verdict for call in calls}) > 1:
            yield f"one key, the verdicts {[call.verdict for call in calls]}", calls[0].verification_id


def attempts_counted(evidence):
    """Count each check once: no more than were made, no fewer than were checked, and never over the most."""
    most = int(evidence.settings["OTP_MAX_ATTEMPTS"])
    for name, read in evidence.read.items():
        groups = _check_groups(evidence, name)
        counted = sum(any(call.verdict in COUNTED for call in calls) for calls in groups)
        maybe = sum(any(call.is_open or call.verdict in {"used", "canceled"} for call in calls) for calls in groups)
        if counted > most:
            yield f"{counted} checks were checked, {most} are allowed", name
        if read is None:
            continue
        used = most - read["attempts_remaining"]
        if not min(counted, most) <= used <= counted + maybe:
            yield f"{used} attempts are used up; {counted} were checked, {maybe} more perhaps", name


def ended_once(evidence):
    """End a verification once, by what was asked for, and never begin it again."""
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
            yield "approved, and nobody was told", name
        if "canceled" in statuses and not any(
            call.operation == "cancel" and (call.is_done or call.is_open) for call in calls
        ):
            yield "canceled, and nobody has asked for it", name
        if "max_attempts_reached" in statuses and len(_check_groups(evidence, name)) < most:
            yield "out of attempts, which nobody has used", name


def right_codes_accepted(evidence):
    """Never call a sent code wrong, nor superseded before another was handed over, nor anything with a 500."""
    is_strict = evidence.settings.get("OTP_SUPERSEDE_CODES") == "true"
    for call in evidence.calls:
        name = call.verification_id
        if call.status in {404, 500} or (call.status == 422 and call.problem != "idempotency_key_reused"):
            yield f"answered {call.status} {call.problem}", name
        message = evidence.message_of(call) if call.verdict else None
        if message is None:
            continue
        if call.verdict == "wrong_code":
            yield f"called the code of send {message.send} wrong", name
        newer = [other for other in evidence.of_verification[name] if _adds_send_after(other, message.send)]
        is_sent = any(other.send > message.send for other in evidence.sent[name])
        if call.verdict == "superseded" and not is_sent and not newer:
            yield f"called the code of send {message.send} superseded, and no later one was handed over", name
        started = min(other.started for other in evidence.by_group[call.group])
        if is_strict and call.verdict == "approved" and any(other.is_done and other.ended < started for other in newer):
            yield f"approved the code of send {message.send} though a later one had gone out", name


def checks_of(evidence, name):
    """Give the checks of a verification."""
    return [call for call in evidence.of_verification.get(name, ()) if call.operation == "check"]


def _check_groups(evidence, name):
    return [evidence.by_group[group] for group in {call.group for call in checks_of(evidence, name)}]


def answered_groups(evidence, operation):
    """Give the calls that were done, for each group that was repeated."""
    groups = (calls for calls in evidence.by_group.values() if len(calls) > 1 and calls[0].operation == operation)
    return [done for calls in groups if (done := [call for call in calls if call.is_done])]


def _adds_send_after(call, send):
    """Tell whether a resend was, or may have been, handed over and carried a later send."""
    if call.operation != "resend":
        return False
    return call.status is None or (call.is_done and call.body["sends"][-1]["number"] > send)
