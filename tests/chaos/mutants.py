"""Broken scripts, the control of the chaos run: the script, what stands there, what instead, and the rule that notices.

A text is looked for in the script with its includes filled in, and must stand there exactly once.
"""

MUTANTS = {
    "approves without consuming": (
        "check", "record.st = 'approved'", "record.st = 'pending'", "approved_once",
    ),
    "consumes without writing the confirmation": (
        "check", "enqueue(KEYS[2], KEYS[3], sid, now_ms, id, send, country, channel)\n    enqueued", "enqueued",
        "confirmed_exactly",
    ),
    "confirms the SID of another send": (
        "check", "local sid = record['s:' .. send]", "local sid = record['s:' .. record.n]", "confirmed_exactly",
    ),
    "counts no attempt": (
        "check", "redis.call('HINCRBY', KEYS[1], 'at', 1)", "record.at + 1", "attempts_counted",
    ),
    "compares once more than allowed": (
        "check", "tonumber(record.at) >= most_attempts then", "tonumber(record.at) > most_attempts then",
        "attempts_counted",
    ),
    "forgets the repeat of a check": (
        "check", "if at and math.abs(now_ms - tonumber(at)) <= IDEMPOTENT_MS then", "if false then", "approved_once",
    ),
    "forgets an Idempotency-Key": (
        "idempotency", "redis.call('EXPIRE', KEYS[1], KEEP_SECONDS)", "redis.call('DEL', KEYS[1])",
        "one_key_one_message",
    ),
    "keeps no answer": (
        "idempotency", "redis.call('HSET', KEYS[1], 'answer', ARGV[3])", "redis.call('DEL', KEYS[1])",
        "one_key_one_answer",
    ),
    "gives a new code to an earlier send": (
        "resend", "'c:' .. ARGV[9], number,", "'c:' .. ARGV[9], sends,", "confirmed_exactly",
    ),
    "counts no send of a number": (
        "issue", "'sends', new_log", "'elsewhere', new_log", "limits_kept",
    ),
    "sends without an end": (
        "resend", "if tonumber(sends) >= most_sends then return {'exhausted'} end", "", "limits_kept",
    ),
    "leaves what is settled in the outbox": (
        "settle", "redis.call('ZREM', KEYS[1], sid)\nreturn 1", "return 1", "nothing_left",
    ),
    "lets a record live for ever": (
        "issue", "redis.call('PEXPIRE', KEYS[1], ttl_ms + late_ms)", "", "keys_expire",
    ),
    "ends what has ended": (
        "cancel", "state == 'pending' and", "state ~= 'canceled' and", "ends_explained",
    ),
}  # fmt: skip
