r"""Mutants that no test can detect, because they have no visible effect: each kind with its reason.

An entry is (file, kind, pattern, reason): regular expressions for the file, the kind, and two lines: the changed code
(from `\A`), and the statement that contains it. They name Redis fields and commands, and no local variables.
"""

import re

EQUIVALENT = (
    (".*", "number", r"\A1$", "any number but 0 means yes"),
    ("looked_up", "number", r"\A0$", "the result is not used"),
    ("funnel", "true", r"\A\w+ == \w+$", "lists a key again that is listed"),
    ("funnel", "true", r"\A\w+\.state ~= \w+$", "a fresh send may be counted, too: then less is left of n"),
    ("funnel", "true", r"\.state ~= \w+\.state or \w+\[", "a move from a state to itself adds up to nothing"),
    (
        "funnel",
        "boundary",
        r"'(ZCARD', \w+\) <=? \w+|HGET', \w+, \w+\) or 0\) <=? \w+)$",
        "as many, or as late, already",
    ),
    ("funnel_swap", "arithmetic", r"\A\w+\[1\] \+ 1$", "any version that is new will do"),
    ("funnel", "boundary|false", r"\Aredis\.call\('TTL', \w+\) >=? 0$", "lists a key again that is listed"),
    ("health", "halved", r"", "how long a key is left that may not be deleted"),
    ("replicated", "halved", r"", "how long the marker is left"),
    ("replicated", "right", r"\A\w+ and \w+$", "told of a request again that was told"),
    ("claim|fall_back|look_up|looked_up|postpone", "flag", r"'XX'$", "the script has just read that member"),
    ("check|links", "true", r"\A\w+\[FIELD\.action\] == 'link'$", "no other action has keys of links"),
    ("check", "right", r"\Anot \w+ and .*FIELD\.payment_tag", "a digest of another payment is that of no send"),
    ("check", "drop", r"\A\w+ = 'wrong_code'$", "the verdict is that already"),
    ("links", "true", r"FIELD\.code$", "no link has the name of another field"),
    ("check", "flag", r"\A, 'NX'$\n.*'ZADD'", "a send begins to wait for its SID once"),
    ("check", "true", r"\A\w+ ~= ''$\n.*string\.match", "no record has a field without a name"),
    ("check", "true", r"\A\w+\[FIELD\.status\] ~= \w+$", "writes the state that is already stored"),
    ("check", "left|boundary", r"\A(\w+ == 'approved' and )?\w+ > 0$", "deletes a streak that does not exist"),
    ("check", "flag", r"'LT'$", "a number may be remembered for the hour of a confirmation that waits"),
    ("clock", "boundary|right|arithmetic", r"'TTL'", "extends a TTL more often than necessary"),
    ("deliver|refuse", "true", r"\A\w+(\[\d\])? ~= ''$", "an empty error code is read as none"),
    ("resend", "true", r"\AARGV\[6\] ~= ''$", "no send has an empty tag"),
    (
        "limit",
        "arithmetic|right",
        r"\A\(?\w+\[\w+\] or 0\)?( \+ \w+)?$\n.*, \w+ \+ \w+$",
        "the newest slice is the last one",
    ),
    ("retry", "left", r"\Astring\.match\(.* or ''$", "an unreadable entry stays unreadable"),
    ("windows", "right", r"\A\w+ or tonumber\(\w+\) > \w+$", "the newest instant of a log is its last"),
    (
        "windows",
        "true",
        r"\A\w+\[i\] > \w+$",
        "instants before the window are not counted, and their number is bounded",
    ),
    ("look_up|outbox_state|settle", "halved", r"\A\d+$", "how much is read, or removed, in one run"),
    ("outbox_state", "arithmetic", r" - 1$", "how much is read in one run"),
    ("look_up", "left", r"\Anot \w+ or .* or \w+\[SEND\.sid \.\. \w+\]$", "what waits for its SID has none"),
    ("look_up", "first", r"\ASEND\.sid \.\. ", "what waits for its SID has none"),
    ("looked_up|postpone", "right", r"\Anot \w+ or tonumber\(", "no due time is another due time"),
    ("postpone", "right", r"\A\w+ and ARGV", "an unreadable entry is given up, not tried"),
    ("refuse", "first", r"\ASEND\.(channel|feedback|error_code) \.\. .*\n.*'HDEL'", "a fresh send has none of these"),
    ("refuse", "flag", r"'LT'$", "no record lives for less than a minute"),
    ("deliver", "left|right", r"\A\w+ and \w+ == 'pending'$", "fall_back.lua removes it"),
    ("deliver", "left", r" == '1' and \w+\(\w+\)$", "fall_back.lua removes it"),
    ("deliver", "right", r"\A\w+ and \w+ == 'pending' and \w+ == \w+$", "fall_back.lua removes it"),
    ("refuse", "left", r"\A\w+ and 1$", "true is shown as 1"),
)


def is_equivalent(mutant):
    """Return whether a mutant is listed."""
    return any(matches(entry, mutant) for entry in EQUIVALENT)


def matches(entry, mutant):
    """Return whether an entry matches a mutant."""
    file, kind, pattern, _ = entry
    text = f"{mutant.code}\n{mutant.statement}"
    is_of_kind = re.fullmatch(file, mutant.file) and re.fullmatch(kind, mutant.kind)
    return bool(is_of_kind and re.search(pattern, text, re.MULTILINE))
