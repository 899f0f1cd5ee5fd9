"""The most important ways to break a script, each with the promise that it breaks and the test that must fail.

A change is selected by what it does (`find`), or inserts a step in the wrong place (`put_before`).

The promises that no script implements have tests elsewhere: secrets, hash slots, latency while the provider hangs, one
response for one request, and readiness.
"""

from functools import partial

from service.core.actions import Action
from tests.store import test_checking as checking
from tests.store import test_clock_steps as clock_steps
from tests.store import test_hard_stop as hard_stop
from tests.store import test_inbound as inbound
from tests.store import test_index as index
from tests.store import test_late_codes as late_codes
from tests.store import test_ledgers as ledgers
from tests.store import test_links as links
from tests.store import test_number_limits as number_limits
from tests.store import test_outbox as entries
from tests.store import test_payments as payments
from tests.store import test_sends as sends
from tests.store.lua_mutator import find, put_before


def _late(how, promise=late_codes.test_a_late_code_confirms_its_message_and_approves_nothing):
    lateness, verdict, status = late_codes.LATE[how]
    return partial(promise, lateness=lateness, verdict=verdict, status=status)


def _link(promise):
    return lambda stores: promise(stores.under(action=Action.LINK))


def _reply(promise):
    return lambda stores: promise(stores.under(action=Action.REPLY))


# By promise: what is broken, how, and the test that must fail.
BEHAVIOURS = {
    "a link lives and ends with its verification": {
        "is not written": (
            partial(find, "issue", "drop", r"^redis\.call\('SET', KEYS\[4\]"),
            _link(links.test_a_link_leads_to_its_verification_and_send),
        ),
        "is not prolonged by a wait": (
            partial(find, "check", "drop", r"^keep_links\("),
            _link(links.test_links_live_as_long_as_the_record),
        ),
        "is not prolonged by a resend": (
            partial(find, "resend", "drop", r"^keep_links\("),
            _link(links.test_links_live_as_long_as_the_record),
        ),
        "survives a send that was taken back": (
            partial(find, "refuse", "drop", r"^redis\.call\('DEL', \w+\)"),
            _link(links.test_a_link_ends_with_its_send),
        ),
        "survives an erasure": (
            partial(find, "erase", "drop", r"^redis\.call\('DEL', \w+\)"),
            _link(partial(links.test_links_are_erased_with_the_number, how="listed")),
        ),
        "survives its verification": (
            partial(find, "forget", "drop", r"^redis\.call\('DEL', \w+\)"),
            _link(partial(links.test_links_are_erased_with_the_number, how="one by one")),
        ),
    },
    "only the right match approves a link, and only its own action a secret": {
        "takes a wrong match": (
            partial(find, "check", "false", r"^\w+ == 'mismatched'"),
            _link(links.test_a_wrong_match_costs_an_attempt_and_confirms),
        ),
        "approves what was declined": (
            partial(find, "check", "false", r"^\w+ == 'declined'", r"= 'canceled'"),
            _link(links.test_a_declined_link_cancels_and_confirms),
        ),
        "approves by a newer link what was declined": (
            partial(find, "check", "false", r"^\w+ == 'declined'", r"FIELD\.newest"),
            _link(links.test_an_expired_link_declines_what_a_newer_one_could_approve),
        ),
        "takes the secret of another action": (
            partial(find, "check", "false", r"FIELD\.action\] or DEFAULT\.action\) ~="),
            partial(links.test_a_secret_is_accepted_only_for_its_action, asked=Action.LINK, given=Action.PASSWORD),
        ),
    },
    "an answer by message is decided once, and counts against no number": {
        "compares what is locked": (
            partial(find, "expected", "true", r"FIELD\.attempts\]\) < tonumber"),
            _reply(inbound.test_what_has_no_attempts_left_is_not_compared),
        ),
        "expects answers to another action": (
            partial(find, "expected", "true", r"FIELD\.action\] == ARGV\[2\]"),
            _reply(inbound.test_what_is_expected_is_listed_newest_first),
        ),
        "decides a message twice": (
            partial(find, "expected", "false", r"^\w+$"),
            _reply(inbound.test_a_message_is_decided_once_for_all),
        ),
        "forgets a message after a minute": (
            partial(find, "check", "right", r"^ARGV\[18\] or math"),
            _reply(partial(inbound.test_a_message_that_races_itself_is_decided_once, late=120_000)),
        ),
        "counts a forged answer against the number": (
            partial(find, "check", "left", r"and not ARGV\[18\]$"),
            _reply(inbound.test_a_wrong_answer_counts_against_no_number),
        ),
        "counts a message that is sent back": (
            partial(find, "check", "true", r"^\w+ ~= 'absent'$"),
            inbound.test_repeating_the_words_costs_nothing,
        ),
        "approves a message that is sent back": (
            partial(find, "check", "left", r"== 'mismatched' or \w+ == 'absent'$"),
            inbound.test_repeating_the_words_costs_nothing,
        ),
    },
    "a secret approves its payment alone, and another one is told from a wrong secret": {
        "takes another payment for a wrong code": (
            partial(find, "check", "false", r"^not \w+ and \(ARGV\[17\] or ''\) ~="),
            partial(payments.test_another_payment_is_a_mismatch, code="000000", payment=None),
        ),
    },
    "a code is accepted once": {
        "consumes nothing": (
            partial(find, "check", "drop", r"^\w+\[FIELD\.status\] = 'approved'$"),
            checking.test_a_code_is_accepted_once,
        ),
        "forgets the verdict of an Idempotency-Key": (
            partial(find, "check", "false", r"math\.abs\(.* <= \w+\)$"),
            checking.test_a_repeated_check_returns_the_same_verdict,
        ),
    },
    "consuming and enqueueing are one step": {
        "consumes without enqueueing": (
            partial(find, "check", "drop", r"^enqueue\("),
            checking.test_a_right_code_is_approved_and_its_message_pending,
        ),
        "consumes before it enqueues": (
            partial(put_before, "check", r"\benqueue\(", "redis.call('HSET', KEYS[1], FIELD.status, 'approved')"),
            checking.test_a_code_is_consumed_after_its_entry_is_written,
        ),
        "takes the SID before it enqueues": (
            partial(put_before, "deliver", r"\benqueue\(", "redis.call('HSET', KEYS[1], SEND.sid .. ARGV[2], ARGV[3])"),
            sends.test_a_waiting_confirmation_survives_an_entry_that_cannot_be_written,
        ),
    },
    "the confirmation goes to the message whose code was typed": {
        "takes the SID of the first send": (
            partial(find, "check", "first", r"^SEND\.sid \.\. ", r"^local \w+ = \w+\[SEND\.sid"),
            partial(checking.test_each_code_confirms_its_own_message, typed=(2, 1)),
        ),
        "takes a SID that contradicts the known one": (
            partial(find, "deliver", "left", r"^tonumber\(\w+\) < 1 or .* or \("),
            sends.test_unknown_deliveries_change_nothing,
        ),
        "takes the same code for two sends": (
            partial(find, "resend", "false", r"^\w+\[FIELD\.code "),
            sends.test_no_two_sends_carry_the_same_code,
        ),
    },
    "count before compare": {
        "counts no attempt": (
            partial(find, "check", "unwritten", r"'HINCRBY', KEYS\[1\]"),
            checking.test_parallel_guesses_get_no_more_attempts,
        ),
        "compares once more than allowed": (
            partial(find, "check", "boundary", r"^tonumber\(.*\) >= \w+$"),
            checking.test_after_the_last_attempt_nothing_is_compared,
        ),
        "resets the attempts with a resend": (
            partial(put_before, "resend", r"'PEXPIRE', KEYS\[1\]", "redis.call('HSET', KEYS[1], FIELD.attempts, 0)"),
            number_limits.test_a_resend_allows_no_more_guesses,
        ),
    },
    "a confirmation waits for its SID": {
        "forgets that it waits": (
            partial(find, "deliver", "false", r" == 'awaiting_sid'$"),
            partial(sends.test_a_code_typed_before_its_sid_waits_for_it, send=1),
        ),
        "expires the record before the SID arrives": (
            partial(find, "check", "drop", r"'PEXPIRE', KEYS\[1\], \w+, 'GT'"),
            sends.test_a_waiting_confirmation_keeps_its_record_for_an_hour,
        ),
    },
    "a late code is confirmed, once, and not approved": {
        "approves an expired code": (
            partial(find, "check", "false", r"^now_ms >= .* or now_ms < "),
            checking.test_a_code_is_valid_until_its_expiry,
        ),
        "confirms twice": (
            partial(find, "check", "left", r"^\w+ and not \w+\[SEND\.feedback"),
            _late("after_approval", late_codes.test_a_late_code_confirms_once),
        ),
        "compares what is locked": (
            partial(find, "check", "drop", r"^\w+ = nil$"),
            checking.test_a_code_of_a_locked_verification_enqueues_nothing,
        ),
    },
    "an ambiguous send is not repeated": {
        "restarts a request that has died": (
            partial(find, "idempotency", "unnot", r"^not \w+$", r"'fp', "),
            ledgers.test_an_abandoned_request_is_taken_over_by_one,
        ),
        "does not wait for the first request to be undone": (
            partial(find, "idempotency", "unnot", r"^not \w+$", r"'overdue', 1\)"),
            ledgers.test_a_claim_is_taken_over_when_its_process_has_had_time_to_end_it,
        ),
        "takes no lease": (
            partial(find, "idempotency", "drop", r"'by', \w+, 'over', 1\)$"),
            partial(ledgers.test_a_request_that_was_taken_over_ends_nothing, step=ledgers._release),
        ),
        "knows no fence": (
            partial(find, "idempotency", "right", r"^\w+ ~= \w+ or \w+$"),
            partial(ledgers.test_a_request_that_was_taken_over_ends_nothing, step=ledgers._release),
        ),
        "forgets what was never sent": (
            partial(find, "idempotency", "drop", r"'unsent', ARGV\[3\]\)$"),
            ledgers.test_an_abandoned_claim_is_taken_over_at_once_by_one,
        ),
        "sends again for one Idempotency-Key": (
            partial(find, "resend", "false", r"SEND\.idempotency_tag.* == ARGV\[6\]$"),
            partial(sends.test_a_repeated_request_adds_no_send, asked_first=1),
        ),
    },
    "every key has a TTL, and no write recreates a record": {
        "keeps a record forever": (
            partial(find, "issue", "drop", r"'PEXPIRE', KEYS\[1\]"),
            partial(sends.test_an_issued_verification_is_read_back, asked={}),
        ),
        "counts an attempt of a record that is gone": (
            partial(put_before, "check", r"return \{'missing'\}", "redis.call('HINCRBY', KEYS[1], FIELD.attempts, 1)"),
            sends.test_no_write_recreates_an_expired_record,
        ),
        "writes a SID into a record that is gone": (
            partial(
                put_before, "deliver", r"return \{'missing'\}", "redis.call('HSET', KEYS[1], SEND.sid .. 1, ARGV[3])"
            ),
            sends.test_no_write_recreates_an_expired_record,
        ),
        "settles into a record that is gone": (
            partial(find, "settle", "true", r"'HEXISTS', KEYS\[6\]"),
            entries.test_entries_outlive_their_verification,
        ),
    },
    "a clock that steps back refuses nothing for longer than its window": {
        "lets an old code live on": (
            partial(find, "check", "left", r"^now_ms >= .* or now_ms < "),
            clock_steps.test_a_code_from_before_the_step_has_expired,
        ),
        "waits for an instant to come": (
            partial(find, "windows", "drop", r"^redis\.call\('HSET', \w+, \w+, table"),
            clock_steps.test_a_number_is_refused_no_longer_than_its_window,
        ),
    },
    "at least one confirmation, and one entry for each SID": {
        "claims what another worker holds": (
            partial(find, "claim", "drop", r"'ZADD', KEYS\[1\], 'XX'"),
            entries.test_an_entry_is_leased_to_one_worker,
        ),
        "gives up what another worker holds": (
            partial(find, "settle", "left", r"^not \w+ or "),
            entries.test_the_entry_of_a_dead_worker_is_taken_over,
        ),
        "leaves what is settled": (
            partial(find, "settle", "drop", r"'ZREM', KEYS\[1\]"),
            entries.test_a_settled_entry_does_not_return,
        ),
        "moves an entry that exists": (
            partial(find, "enqueue", "flag", r"'NX'$"),
            entries.test_no_sid_is_pending_twice,
        ),
    },
    "the index lists the newest verifications of a number": {
        "lists other ids": (
            partial(find, "index", "arithmetic", r"^-2"),
            index.test_the_newest_verifications_of_a_number_are_found,
        ),
        "lists the newest alone": (
            partial(find, "issue", "right", r"'ids'\) or ''$"),
            index.test_the_newest_verifications_of_a_number_are_found,
        ),
        "lists what leaves no trace": (
            partial(find, "refuse", "true", r"packed_id"),
            partial(index.test_what_twilio_was_too_busy_for_is_not_listed, listed=1),
        ),
        "ends before a verification that waits for its SID": (
            partial(find, "check", "drop", r"^redis\.pcall\('PEXPIRE', \w+, \w+, 'GT'"),
            index.test_what_waits_for_its_sid_stays_listed,
        ),
        "shortens the memory of the number": (
            partial(find, "check", "flag", r"'GT'$", r"^redis\.pcall\('PEXPIRE', \w+"),
            index.test_waiting_for_a_sid_shortens_no_memory,
        ),
        "ends before a verification that lives longer than an approved one": (
            partial(find, "check", "arithmetic", r"'PTTL', KEYS\[1\]\) \+ \w+$"),
            index.test_an_approval_hides_no_other_verification,
        ),
        "is forgotten by a release": (
            partial(put_before, "release", r"'HDEL'", "redis.call('DEL', KEYS[1])"),
            index.test_a_release_keeps_the_index,
        ),
        "is erased without what it lists": (
            partial(find, "erase", "unwritten", r"'DEL', ARGV"),
            index.test_no_verification_that_survives_an_erasure_is_unlisted,
        ),
        "shows what belongs to another owner": (
            partial(find, "read", "left", r"^not "),
            index.test_an_owner_finds_only_its_own_verifications,
        ),
    },
    "limits": {
        "counts no send": (
            partial(find, "issue", "drop", r"^redis\.call\('HSET', KEYS\[2\]"),
            number_limits.test_a_burst_gets_no_more_than_the_limit,
        ),
        "allows one send more": (
            partial(find, "windows", "arithmetic", r"^#\w+ - tonumber\(\w+\) \+ 1$"),
            number_limits.test_a_burst_gets_no_more_than_the_limit,
        ),
        "never stops a number": (
            partial(find, "check", "right", r"^\w+ or tonumber\("),
            hard_stop.test_the_last_failed_check_in_a_row_stops_everything,
        ),
        "sends without an end": (
            partial(find, "resend", "false", r"^\w+ >= \w+$"),
            sends.test_the_sends_of_a_verification_are_limited,
        ),
    },
}
