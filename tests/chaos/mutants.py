"""Broken scripts, the control of the chaos run: the defect, the edit (see `lua_mutator`), and the rule to report it."""

from functools import partial

from tests.store.lua_mutator import find, put_before

MUTANTS = {
    "approves without consuming": (
        partial(find, "check", "drop", r"^\w+\[FIELD\.status\] = 'approved'$"), "approved_once",
    ),
    "consumes without writing the confirmation": (partial(find, "check", "drop", r"^enqueue\("), "confirmed_exactly"),
    "confirms the SID of another send": (
        partial(find, "check", "first", r"^SEND\.sid \.\. ", r"^local \w+ = \w+\[SEND\.sid"), "confirmed_exactly",
    ),
    "counts no attempt": (partial(find, "check", "unwritten", r"'HINCRBY', KEYS\[1\]"), "attempts_counted"),
    "allows one attempt too many": (
        partial(find, "check", "boundary", r"^tonumber\(.*\) >= \w+$"), "attempts_counted",
    ),
    "approves a repeated check again": (partial(find, "check", "false", r"math\.abs\(.* <= \w+\)$"), "approved_once"),
    "does not keep an Idempotency-Key": (
        partial(find, "idempotency", "drop", r"^redis\.call\('HSET', KEYS\[1\], 'fp'"), "one_key_one_message",
    ),
    "keeps no response": (
        partial(put_before, "idempotency", r"'finish'", "if ARGV[1] == 'finish' then redis.call('DEL', KEYS[1]) end"),
        "one_key_one_response",
    ),
    "gives a new code to an earlier send": (
        partial(
            put_before, "resend", r"^count\(",
            "redis.call('HSET', KEYS[1], FIELD.code .. string.sub(ARGV[9], 1, 16), 1)",
        ),
        "confirmed_exactly",
    ),
    "does not count the sends of a number": (
        partial(find, "issue", "drop", r"^redis\.call\('HSET', KEYS\[2\]"), "limits_enforced",
    ),
    "resends without a limit": (partial(find, "resend", "false", r"^\w+ >= \w+$"), "limits_enforced"),
    "leaves settled entries in the outbox": (partial(find, "settle", "drop", r"'ZREM', KEYS\[1\]"), "nothing_left"),
    "sets no TTL on a record": (partial(find, "issue", "drop", r"'PEXPIRE', KEYS\[1\]"), "keys_expire"),
    "cancels an ended verification": (partial(find, "cancel", "true", r"^\w+ == 'pending' and "), "ended_once"),
}  # fmt: skip
