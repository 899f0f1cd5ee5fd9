"""Mutants of the scripts: what stands there, what shall stand there instead, and the promise that must notice."""

from functools import partial

from tests.store import test_checking as checking
from tests.store import test_clock_steps as clock_steps
from tests.store import test_hard_stop as hard_stop
from tests.store import test_late_codes as late_codes
from tests.store import test_ledgers as ledgers
from tests.store import test_lost_messages as lost
from tests.store import test_number_limits as number_limits
from tests.store import test_numbers as numbers
from tests.store import test_outbox as entries
from tests.store import test_sends as sends
from tests.store import test_test_numbers as test_numbers
from tests.store.engines import FORGOTTEN_MS


def _late(how, promise=late_codes.test_a_late_code_confirms_its_message_and_approves_nothing):
    lateness, verdict, status = late_codes.LATE[how]
    return partial(promise, lateness=lateness, verdict=verdict, status=status)


ended_gets_no_send = sends.test_what_has_ended_gets_no_further_send
ended_gets_no_send_after_failing = sends.test_a_refused_only_send_fails_the_verification
unsent_is_free = sends.test_a_message_that_was_not_sent_gives_the_limit_back
unsent_leaves_nothing = sends.test_a_number_that_nothing_was_sent_to_leaves_no_record
unsent_goes_soon = partial(
    sends.test_a_verification_that_twilio_was_too_busy_for_is_kept_for_a_minute, passing=True, seconds=60
)
taken_over_is_safe = partial(ledgers.test_who_was_taken_for_dead_ends_nothing, step=ledgers._release)
handed_supersedes = partial(late_codes.test_a_send_that_was_handed_to_twilio_supersedes_all_before_it, told_by="Twilio")
unhanded_is_nothing = late_codes.test_a_send_that_was_not_handed_to_twilio_supersedes_nothing
no_end_while_tried = hard_stop.test_a_stop_does_not_end_while_anybody_tries
nothing_forgotten = hard_stop.test_an_approval_forgets_nothing_that_is_still_needed
mismatch = checking.test_a_mismatch_is_not_compared

MUTANTS = {
    "check": [
        (
            "redis.pcall('ZADD', awaiting_key, expires_ms, id .. '|' .. send)",
            "",
            entries.test_what_waits_for_its_sid_is_counted,
        ),
        (
            "redis.pcall('ZREMRANGEBYSCORE', awaiting_key, '-inf', now_ms)",
            "",
            entries.test_what_has_expired_waits_no_longer_and_the_rest_does,
        ),
        (
            "redis.pcall('PEXPIREAT', awaiting_key, expires_ms, 'GT')",
            "",
            entries.test_what_has_expired_waits_no_longer_and_the_rest_does,
        ),
        ("record['f:' .. send] = feedback", "", checking.test_a_right_code_is_approved_and_its_message_pending),
        ("record.at = tostring(attempts)", "", checking.test_a_right_code_is_approved_and_its_message_pending),
        (" and state ~= 'failed'\n", "\n", hard_stop.test_guesses_at_nothing_count_for_nothing),
        (" or owner ~= '' and owner ~= record.ow", "", checking.test_nobody_elses_key_decides),
        ("owner ~= '' and owner ~= record.ow", "owner ~= record.ow", checking.test_nobody_elses_key_decides),
        (
            "then return {'other_key'} end",
            "then state = state end",
            sends.test_a_number_sealed_under_a_forgotten_key_is_not_readable,
        ),
        (
            "if feedback == 'awaiting_sid' then",
            "if false then",
            sends.test_a_waiting_confirmation_keeps_its_record_for_an_hour,
        ),
        (
            "redis.call('HINCRBY', KEYS[1], 'at', 1)",
            "record.at + 1",
            checking.test_parallel_guesses_get_no_more_attempts,
        ),
        (
            "tonumber(record.at) >= most",
            "tonumber(record.at) > most",
            checking.test_after_the_most_attempts_nothing_is_compared,
        ),
        (
            "record.at = tostring(attempts)",
            "record.at = tostring(attempts)\nattempts = attempts - 1",
            checking.test_after_the_most_attempts_nothing_is_compared,
        ),
        (
            " and not record['f:' .. send]",
            "",
            _late("expired", late_codes.test_a_late_code_confirms_once),
        ),
        (
            "enqueue(KEYS[2], KEYS[3], sid, now_ms, id, send, country, channel)\n    enqueued",
            "enqueued",
            _late("expired"),
        ),
        ("    enqueued = 1", "    enqueued = 0", checking.test_a_right_code_is_approved_and_its_message_pending),
        (
            "record.st = 'approved'",
            "record.st = 'pending'",
            checking.test_a_code_is_accepted_once,
        ),
        (
            "local enqueued, feedback",
            "if verdict == 'approved' then redis.call('HSET', KEYS[1], 'st', verdict) end\nlocal enqueued, feedback",
            checking.test_consuming_waits_for_the_entry,
        ),
        (
            "now_ms >= sent_ms + ",
            "now_ms < sent_ms + ",
            checking.test_a_code_lives_until_its_last_moment,
        ),
        (" or now_ms < sent_ms - STEP_MS", "", clock_steps.test_a_code_from_before_the_step_has_expired),
        (
            "math.abs(now_ms - tonumber(at))",
            "now_ms - tonumber(at)",
            clock_steps.test_a_replayed_check_is_forgotten_in_its_time,
        ),
        ("record['t:' .. send]", "record['t:1']", checking.test_each_send_has_its_own_expiry),
        ("verdict = 'expired'\n", "verdict, send = 'expired', nil\n", _late("expired")),
        ("verdict = 'used'\n", "verdict, send = 'used', nil\n", _late("after_approval")),
        ("verdict = 'canceled'\n", "verdict, send = 'canceled', nil\n", _late("after_cancel")),
        ("verdict = 'superseded' end", "verdict, send = 'superseded', nil end", _late("superseded")),
        ("strict and tonumber(record.n) or 0", "0", _late("superseded")),
        (
            "strict and tonumber(record.n) or 0",
            "tonumber(record.n)",
            late_codes.test_without_the_switch_a_later_send_supersedes_nothing,
        ),
        ("tonumber(send) + 1, strict", "tonumber(send), strict", handed_supersedes),
        ("strict and tonumber(record.n)", "strict and tonumber(send) + 1", handed_supersedes),
        ("if record['s:' .. later] or", "if true or", partial(unhanded_is_nothing, code="111111")),
        ("if record['s:' .. later] or", "if", handed_supersedes),
        (
            "record['d:' .. later] == '0unknown' then",
            "record['d:' .. later] then",
            partial(late_codes.test_a_send_that_was_taken_back_supersedes_nothing, passing=False),
        ),
        (
            " or record['d:' .. later] == '0unknown' then",
            " then",
            partial(handed_supersedes.func, told_by="its silence"),
        ),
        ("send = nil  -- locked", "-- locked", checking.test_a_code_of_a_locked_verification_enqueued_nothing),
        (
            "send = send or record['c:' .. string.sub(digests, place, place + DIGEST_BYTES - 1)]",
            "send = record['c:' .. string.sub(digests, place, place + DIGEST_BYTES - 1)] or send",
            test_numbers.test_a_resend_to_a_test_number_outlives_a_rotation,
        ),
        ("for place = 1, #digests,", "for place = 1, 1,", checking.test_a_code_written_under_an_old_key_is_accepted),
        (
            "tag_asked ~= '' and tag_asked ~= tag",
            "false",
            partial(mismatch, asked={"to": "+12025550145"}),
        ),
        (
            "purpose_asked ~= '' and purpose_asked ~= record.pu",
            "false",
            partial(mismatch, asked={"purpose": "payment"}),
        ),
        (
            "stopped or",
            "",
            hard_stop.test_the_last_failed_check_in_a_row_stops_everything,
        ),
        (
            "redis.call('PEXPIRE', number_key, STOP_TTL_MS)\n  return true",
            "return true",
            partial(no_end_while_tried, tried="check"),
        ),
        (
            "< tonumber(most_in_a_row) then",
            "<= tonumber(most_in_a_row) then",
            hard_stop.test_the_last_failed_check_in_a_row_stops_everything,
        ),
        (
            "< tonumber(most_in_a_row) then",
            "< tonumber(most_in_a_row) - 1 then",
            hard_stop.test_the_stop_allows_as_many_failed_checks_as_it_says,
        ),
        (
            "redis.call('HINCRBY', number_key, 'streak', 1)",
            "redis.call('HINCRBY', KEYS[1], 'streak', 1)",
            hard_stop.test_the_last_failed_check_in_a_row_stops_everything,
        ),
        (
            "verdict == 'approved' and streak > 0",
            "false",
            hard_stop.test_the_stop_allows_as_many_failed_checks_as_it_says,
        ),
        (
            "verdict == 'approved' and streak > 0",
            "streak > 0",
            hard_stop.test_only_an_approval_ends_the_row,
        ),
        (
            "math.max(math.ceil(STOP_TTL_MS * streak / most_in_a_row), longest_window_ms(failure_policy))",
            "longest_window_ms(failure_policy)",
            hard_stop.test_the_row_outlives_every_window_and_record,
        ),
        (
            "* streak / most_in_a_row",
            "/ most_in_a_row",
            hard_stop.test_the_row_outlives_every_window_and_record,
        ),
        (
            "* streak / most_in_a_row",
            "",
            hard_stop.test_a_row_is_remembered_in_proportion_to_its_length,
        ),
        (
            "redis.call('PEXPIRE', number_key, rest_ms, 'LT')",
            "",
            hard_stop.test_a_mistyped_code_is_forgotten_after_an_approval,
        ),
        ("longest_window_ms(send_policy), ", "", partial(nothing_forgotten, remembered="number")),
        (
            "(send_policy), longest_window_ms(failure_policy)",
            "(send_policy)",
            partial(nothing_forgotten, remembered="failed_checks"),
        ),
        (", redis.call('PTTL', KEYS[1]))", ")", partial(nothing_forgotten, remembered="record")),
        (
            "if streak == most_in_a_row",
            "if streak == most_in_a_row - 1",
            hard_stop.test_the_stop_allows_as_many_failed_checks_as_it_says,
        ),
        (
            "math.max(1, #list - largest + 2)",
            "1",
            number_limits.test_the_failed_checks_of_a_number_take_no_more_room_than_their_limit,
        ),
        (
            "(verdict == 'wrong_code' or verdict == 'mismatch')",
            "verdict == 'wrong_code'",
            number_limits.test_a_resend_brings_no_new_guesses,
        ),
        (
            "(verdict == 'wrong_code' or verdict == 'mismatch')",
            "verdict ~= 'approved'",
            number_limits.test_only_failed_checks_are_counted_as_failed,
        ),
        (
            "<= IDEMPOTENT_MS",
            ">= 0",
            checking.test_a_repeated_check_is_remembered_for_a_minute,
        ),
        ("if body ~= fingerprint", "if false", checking.test_a_repeated_key_with_another_body_is_refused),
        (
            "sid and 'pending' or 'awaiting_sid'",
            "'pending'",
            sends.test_a_code_typed_before_its_sid_waits_for_it,
        ),
        (
            "if sid then",
            "sid = sid or redis.call('HGET', KEYS[1], 's:2')\n  if sid then",
            sends.test_the_sid_of_another_send_frees_nothing,
        ),
        (
            "if not state or",
            "if not state then redis.call('HINCRBY', KEYS[1], 'at', 1) end\nif not state or",
            sends.test_no_write_brings_an_expired_record_back,
        ),
        ("renew(outbox_key, OUTBOX_TTL_SECONDS)", "false", _late("expired")),
        ("redis.call('EXPIRE', info_key, OUTBOX_TTL_SECONDS)", "", _late("expired")),
    ],
    "issue": [
        (
            "redis.call('HSET', number_key, field, table.concat(kept, ','))",
            "",
            clock_steps.test_a_number_is_closed_for_no_longer_than_its_window,
        ),
        (
            "math.min(tonumber(instant), at_ms)",
            "tonumber(instant)",
            clock_steps.test_failed_checks_close_a_number_for_no_longer_than_their_window,
        ),
        (
            "if redis.call('PTTL', number_key) < ttl_ms",
            "if true",
            number_limits.test_neither_memory_of_a_number_shortens_the_other,
        ),
        (
            "if is_stopped(KEYS[2], ARGV[7])",
            "if false",
            hard_stop.test_the_last_failed_check_in_a_row_stops_everything,
        ),
        ("#list - largest + 2", "#list - largest + 3", number_limits.test_a_burst_gets_no_more_than_the_limit),
        ("next_free_ms(failures, ARGV[6], now_ms)", "0", number_limits.test_a_closed_number_gets_no_message),
        ("renew(stats_key, STATS_TTL_SECONDS)", "", sends.test_what_is_issued_is_read_back),
        ("if free_ms > now_ms", "if false", number_limits.test_a_burst_gets_no_more_than_the_limit),
        (
            "#list - tonumber(limit) + 1",
            "#list - tonumber(limit)",
            number_limits.test_a_burst_gets_no_more_than_the_limit,
        ),
        (
            "oldest_that_counts + tonumber(window)",
            "oldest_that_counts + tonumber(window) - 100",
            number_limits.test_no_window_holds_more_sends_than_its_limit,
        ),
        (
            "if list[i] > horizon_ms",
            "if list[i] > at_ms - 400",
            number_limits.test_no_window_holds_more_sends_than_its_limit,
        ),
        (
            "math.max(longest_window_ms(policy), ttl_ms + late_ms)",
            "ttl_ms + late_ms",
            number_limits.test_the_longest_window_is_remembered,
        ),
        ("redis.call('PEXPIRE', KEYS[1], ttl_ms + late_ms)", "", sends.test_what_is_issued_is_read_back),
        ("redis.call('PEXPIRE', number_key, ttl_ms)", "", sends.test_what_is_issued_is_read_back),
        (
            "if redis.call('EXISTS', KEYS[1]) == 1 then return {'taken'} end",
            "",
            sends.test_an_id_is_never_taken_twice,
        ),
    ],
    "resend": [
        (" or now_ms < newest_ms - STEP_MS", "", clock_steps.test_a_code_from_before_the_step_has_expired),
        (
            "if ARGV[8] == '0' and redis",
            "if redis",
            test_numbers.test_a_resend_to_a_test_number_has_the_same_code_with_its_own_expiry,
        ),
        (
            "if ARGV[8] == '0' and redis",
            "if false and redis",
            test_numbers.test_a_number_that_is_no_test_number_any_more_is_sent_to_like_any_other,
        ),
        (
            "if ARGV[8] == '1' then",
            "if false then",
            test_numbers.test_a_resend_to_a_test_number_has_the_same_code_with_its_own_expiry,
        ),
        (
            "if ARGV[8] == '1' then",
            "if true then",
            test_numbers.test_a_number_that_is_no_test_number_any_more_is_sent_to_like_any_other,
        ),
        (
            "if is_stopped(KEYS[2], ARGV[5])",
            "if false",
            hard_stop.test_the_last_failed_check_in_a_row_stops_everything,
        ),
        ("newest or sends", "sends", sends.test_a_verification_ends_with_its_newest_code_that_was_sent),
        (
            "next_free_ms(failures, ARGV[4], now_ms)",
            "0",
            number_limits.test_a_closed_number_gets_no_message,
        ),
        ("for i = 9, #ARGV", "for i = 9, 9", sends.test_no_two_sends_carry_the_same_code),
        (" or now_ms >= newest_ms + ttl_ms", "", partial(ended_gets_no_send, end="expired")),
        ("state ~= 'pending' or", "", partial(ended_gets_no_send, end="approved")),
        (">= most_sends", "> most_sends", sends.test_the_sends_of_a_verification_are_limited),
        ("if free_ms > now_ms", "if false", number_limits.test_resends_count_like_issues),
        ("'sends', new_log", "'other', new_log", number_limits.test_resends_count_like_issues),
        ("'n', number,", "'n', number, 'at', 0,", number_limits.test_a_resend_brings_no_new_guesses),
        (
            "redis.call('PEXPIRE', KEYS[1], ttl_ms + late_ms, 'GT')",
            "",
            sends.test_a_resend_adds_a_send_and_lengthens_the_life,
        ),
        ("ttl_ms + late_ms, 'GT')", "ttl_ms + late_ms)", sends.test_a_resend_shortens_no_waiting),
        (
            "redis.call('HDEL', KEYS[1], 'lv')",
            "",
            sends.test_a_resend_after_a_refused_one_is_the_newest,
        ),
        ("'k:' .. number, ARGV[6]", "'k:1', ARGV[6]", sends.test_a_send_knows_which_request_asked_for_it),
        ("'to', ARGV[7],", "", sends.test_a_resend_under_a_newer_key_is_not_checked_without_it),
        (
            "'k:' .. number) == ARGV[6]",
            "'k:' .. number) == ''",
            sends.test_a_request_adds_one_send_however_often_it_asks,
        ),
        (
            "for number = 1, tonumber(sends)",
            "for number = tonumber(sends), tonumber(sends)",
            sends.test_a_request_adds_one_send_however_often_it_asks,
        ),
    ],
    "deliver": [
        (
            "redis.pcall('ZREM', KEYS[2] .. ':awaiting_sid', id .. '|' .. send)",
            "",
            entries.test_what_waits_for_its_sid_is_counted,
        ),
        (
            "redis.pcall('ZREM', KEYS[2] .. ':lookups', id .. '|' .. send)",
            "",
            lost.test_a_sid_ends_the_look,
        ),
        ("if rank > known_rank", "if rank >= known_rank", sends.test_deliveries_never_go_back),
        (
            "(rank > known_rank or not known_sender)",
            "true",
            sends.test_the_sender_of_the_latest_stage_is_kept,
        ),
        ("or not known_sender", "", sends.test_the_sender_of_the_latest_stage_is_kept),
        ("known_sid ~= sid", "false", sends.test_strangers_change_nothing),
        ("tonumber(send) < 1 or", "", sends.test_strangers_change_nothing),
        (
            "if feedback == 'awaiting_sid'",
            "if false",
            sends.test_a_code_typed_before_its_sid_waits_for_it,
        ),
        ("changes = {'f:' .. send, 'pending'}", "", sends.test_a_code_typed_before_its_sid_waits_for_it),
        ("redis.call('HSETNX', info_key", "redis.call('HSET', info_key", entries.test_no_sid_is_pending_twice),
        (
            "local changes, enqueued =",
            "redis.call('HSET', KEYS[1], 's:' .. send, sid)\nlocal changes, enqueued =",
            sends.test_a_waiting_confirmation_survives_an_entry_that_cannot_be_written,
        ),
        (
            "if not sends then return {'missing'} end",
            "if not sends then redis.call('HSET', KEYS[1], 's:1', sid) return {'missing'} end",
            sends.test_no_write_brings_an_expired_record_back,
        ),
    ],
    "read": [
        ("record.ip or false", "false", partial(sends.test_what_is_issued_is_read_back, asked=sends.EVERYTHING)),
        ("record.ky or false", "false", partial(sends.test_what_is_issued_is_read_back, asked=sends.EVERYTHING)),
        (
            " and ARGV[1] ~= record.ow",
            " and false",
            sends.test_nobody_elses_key_reads_or_cancels,
        ),
    ],
    "cancel": [
        (" or ARGV[1] ~= '' and ARGV[1] ~= owner", "", sends.test_nobody_elses_key_reads_or_cancels),
        ("newest or sends", "sends", sends.test_a_verification_ends_with_its_newest_code_that_was_sent),
        (
            " and now_ms < newest_ms + tonumber(ttl_seconds) * 1000",
            "",
            partial(ended_gets_no_send, end="expired"),
        ),
        ("if state == 'pending' and", "if", partial(ended_gets_no_send, end="approved")),
    ],
    "hand": [
        (
            "if redis.call('HEXISTS', KEYS[1], 't:' .. ARGV[1]) == 0 then return 0 end",
            "",
            late_codes.test_noting_a_handed_send_changes_nothing_else,
        ),
        ("'HSETNX'", "'HSET'", late_codes.test_noting_a_handed_send_changes_nothing_else),
    ],
    "refuse": [
        (" or tonumber(send) <= tonumber(ARGV[6])", "", sends.test_a_send_that_was_there_before_is_not_taken_back),
        (
            "tonumber(send) <= tonumber(ARGV[6])",
            "tonumber(send) <= tonumber(ARGV[6]) + 1",
            sends.test_a_send_is_taken_back_by_its_code,
        ),
        ("redis.call('HDEL', KEYS[1], record[i])", "", sends.test_a_refused_resend_leaves_the_earlier_code),
        ("\nif newest_other > 0", "\nif false", sends.test_a_refused_resend_leaves_the_earlier_code),
        (
            "if passing and send == sends and",
            "if false and",
            sends.test_a_resend_that_twilio_was_too_busy_for_leaves_no_trace,
        ),
        ("redis.call('HDEL', KEYS[1], 'k:' .. send)", "", sends.test_a_send_knows_which_request_asked_for_it),
        ("'st', 'failed'", "'st', 'pending'", ended_gets_no_send_after_failing),
        ("and not dropped", "", sends.test_one_send_taken_back_gives_one_send_back),
        ("if log then", "if false then", partial(unsent_is_free, passing=True)),
        ("if log then", "if log and passing then", partial(unsent_is_free, passing=False)),
        ("redis.call('HSET', KEYS[1], 'rs', string.format('%d', now_ms))", "", partial(unsent_is_free, passing=False)),
        ("if #kept > 0 then", "if true then", partial(unsent_leaves_nothing, passing=True)),
        ("if passing then redis.call('PEXPIRE'", "if false then redis.call('PEXPIRE'", unsent_goes_soon),
        (
            "if passing then redis.call('PEXPIRE'",
            "if true then redis.call('PEXPIRE'",
            partial(unsent_goes_soon.func, passing=False, seconds=FORGOTTEN_MS // 1000),
        ),
    ],
    "number": [
        (
            "if ttl_ms < 0 then return {'nothing'} end",
            "",
            numbers.test_nothing_is_held_about_a_number_that_was_never_seen,
        ),
        ("next_free_ms(instants(sends, now_ms), ARGV[1], now_ms)", "0", numbers.test_everything_that_is_held_is_shown),
        ("free_ms - now_ms", "free_ms", numbers.test_everything_that_is_held_is_shown),
        ("tonumber(streak or 0)", "0", numbers.test_looking_prolongs_nothing),
    ],
    "claim": [
        ("redis.call('ZADD', KEYS[1], 'XX', leased_until_ms, sid)", "", entries.test_an_entry_is_leased_to_one_worker),
        ("'-inf', now_ms,", "'-inf', '+inf',", entries.test_a_dead_worker_is_taken_over),
        (
            "renew(KEYS[1], OUTBOX_TTL_SECONDS)",
            "",
            entries.test_entries_live_a_day_after_they_were_last_touched,
        ),
        (
            "renew(KEYS[2], OUTBOX_TTL_SECONDS)",
            "",
            entries.test_entries_live_a_day_after_they_were_last_touched,
        ),
    ],
    "look_up": [
        (
            "'-inf', now_ms, 'LIMIT'",
            "'-inf', '+inf', 'LIMIT'",
            lost.test_a_look_is_due_a_minute_after_the_code_was_typed,
        ),
        ("and value == send", "", lost.test_a_look_is_due_a_minute_after_the_code_was_typed),
        (
            "or tonumber(record['l:' .. send] or 0) >= tonumber(ARGV[4])",
            "",
            lost.test_two_looks_ten_minutes_apart_and_no_third,
        ),
        ("'XX', until_ms, member", "'XX', now_ms, member", lost.test_two_looks_ten_minutes_apart_and_no_third),
        (
            "string.find(ARGV[2], string.sub(record.to, 1, 1), 1, true)",
            "true",
            lost.test_a_process_without_the_key_leaves_the_look_to_others,
        ),
        ("not id or record['f:' .. send] ~= 'awaiting_sid'", "not id", lost.test_what_is_gone_is_forgotten_on_the_way),
    ],
    "looked_up": [
        ("or tonumber(due_ms) ~= tonumber(ARGV[3])", "", lost.test_who_was_overtaken_gives_nothing_back),
        ("ARGV[4] == 'failed' and", "", lost.test_a_look_that_found_nothing_is_not_given_back),
        ("redis.call('HINCRBY', KEYS[2], looks, -1)", "", lost.test_a_failed_look_is_given_back),
        ("count(KEYS[3], 'lookup:' .. ARGV[4])", "", lost.test_a_failed_look_is_given_back),
    ],
    "postpone": [
        ("or tonumber(due_ms) ~= tonumber(ARGV[2])", "", entries.test_a_dead_worker_is_taken_over),
        ("tonumber(tries) + 1", "tries", partial(entries.test_a_postponed_entry_comes_back, was_tried=True, tries=1)),
        ("and ARGV[4] == '1'", "", partial(entries.test_a_postponed_entry_comes_back, was_tried=False, tries=0)),
        (
            "now_ms + tonumber(ARGV[3])",
            "now_ms",
            partial(entries.test_a_postponed_entry_comes_back, was_tried=True, tries=1),
        ),
        (
            "renew(KEYS[2], OUTBOX_TTL_SECONDS)",
            "",
            entries.test_entries_live_a_day_after_they_were_last_touched,
        ),
    ],
    "settle": [
        ("redis.call('HDEL', KEYS[6], old)", "", entries.test_the_dead_are_forgotten_after_two_weeks),
        ("redis.call('ZREM', KEYS[5], old)", "", entries.test_the_dead_are_forgotten_after_two_weeks),
        ("redis.call('ZREM', KEYS[1], sid)", "", entries.test_a_settled_entry_is_gone_for_good),
        ("redis.call('HEXISTS', KEYS[3], 'f:' .. send) == 1", "true", entries.test_entries_outlive_their_verification),
        (
            "then info = '0|0||||' end",
            "then info = info end",
            partial(entries.test_a_poisoned_entry_can_be_failed_and_holds_up_nobody, line="1|2|3"),
        ),
        (
            "outcome == 'failed' and tonumber(due_ms) ~= tonumber(ARGV[6])",
            "false",
            entries.test_a_dead_worker_is_taken_over,
        ),
        (" or outcome == 'failed' and", " or", entries.test_what_twilio_has_accepted_is_settled_whoever_says_so),
        ("redis.call('EXPIRE', KEYS[5], FAILED_TTL_SECONDS)", "", entries.test_the_queue_at_a_glance),
        (
            "if not due_ms or outcome == 'failed' and tonumber(due_ms) ~= tonumber(ARGV[6]) then return 0 end",
            "",
            entries.test_a_dead_worker_is_taken_over,
        ),
    ],
    "retry": [
        (
            "redis.call('HEXISTS', verification_key, 'f:' .. send) == 1",
            "true",
            sends.test_no_write_brings_an_expired_record_back,
        ),
        (
            "redis.call('HSET', verification_key, 'f:' .. send, 'pending')",
            "",
            entries.test_a_failed_entry_can_be_replayed,
        ),
        ("redis.call('HDEL', KEYS[2], sid)", "", entries.test_a_failed_entry_can_be_replayed),
    ],
    "idempotency": [
        (
            "if tonumber(until_ms) > tonumber(lease_ms) then",
            "if false then",
            clock_steps.test_an_idempotency_key_is_held_for_no_longer_than_a_lease,
        ),
        ("if holder ~= fence or answer", "if answer", ledgers.test_an_expired_key_is_not_brought_back),
        ("if holder ~= fence or answer", "if not known or answer", taken_over_is_safe),
        ("if holder ~= fence or answer", "if holder ~= fence", ledgers.test_the_first_answer_is_kept),
        (
            "if step == 'withdraw' and was_taken_over then",
            "if false then",
            ledgers.test_a_claim_that_was_taken_over_is_withdrawn_as_it_was_found,
        ),
        (
            "if step == 'withdraw' and was_taken_over then",
            "if was_taken_over then",
            ledgers.test_a_claim_that_was_taken_over_is_withdrawn_as_it_was_found,
        ),
        (
            "if step == 'withdraw' and was_taken_over then",
            "if step == 'withdraw' then",
            partial(ledgers.test_a_key_that_is_given_back_is_fresh_again, give_back=ledgers._withdraw),
        ),
        (", 'over', 1)", ")", ledgers.test_a_claim_that_was_taken_over_is_withdrawn_as_it_was_found),
        ("'until', lease_ms, 'by', fence, 'over'", "'until', lease_ms, 'over'", taken_over_is_safe),
        (
            "return {'running', tonumber(until_ms) - now_ms}",
            "return {'running', tonumber(until_ms)}",
            ledgers.test_a_repeat_is_told_what_is_left_of_the_lease,
        ),
        (
            "if known ~= fingerprint then return {'other_body'} end",
            "",
            partial(ledgers.test_a_key_stands_for_one_body, finished=False),
        ),
        (
            "redis.call('HSET', KEYS[1], 'until', lease_ms, 'by', fence, 'over', 1)\nreturn",
            "return",
            ledgers.test_an_abandoned_request_is_taken_over_by_one,
        ),
        ("redis.call('EXPIRE', KEYS[1], KEEP_SECONDS)", "", ledgers.test_of_equal_requests_one_is_fresh),
    ],
    "limit": [
        (
            "(now_ms - window) / slice_ms)",
            "(now_ms - window) / slice_ms) + 1",
            ledgers.test_no_window_of_any_position_holds_more_than_the_limit,
        ),
        ("while sum >= tonumber(limit)", "while sum > tonumber(limit)", ledgers.test_a_limit_holds_in_real_time),
        (
            "wait_ms = math.max(wait_ms, slice * slice_ms + window - now_ms)",
            "wait_ms = math.max(wait_ms, slice * slice_ms + window - now_ms - slice_ms)",
            ledgers.test_no_window_of_any_position_holds_more_than_the_limit,
        ),
        ("local SLICES = 20", "local SLICES = 5", ledgers.test_a_used_up_limit_frees_a_slot_at_most_a_twentieth_late),
        (
            "if wait_ms > 0 then return {wait_ms, now_ms} end",
            "",
            ledgers.test_a_window_that_refuses_counts_in_no_window,
        ),
        (
            "if tonumber(redis.call('HGET', key, field) or 0) > 1 then",
            "if true then",
            ledgers.test_giving_back_revives_no_limit,
        ),
        ("redis.call('HINCRBY', key, field, -1)", "", ledgers.test_a_unit_can_be_given_back),
        ("redis.call('HDEL', key, field)", "", ledgers.test_a_limit_that_counts_nothing_takes_no_memory),
        (
            "redis.call('HDEL', key, field)",
            "redis.call('HINCRBY', key, field, -1)",
            ledgers.test_a_limit_that_counts_nothing_takes_no_memory,
        ),
        (
            "slice_field(window, math.min(reserved_at_ms, now_ms))",
            "slice_field(window, now_ms)",
            ledgers.test_a_unit_is_given_back_where_it_was_counted,
        ),
        (
            "slice_field(window, math.min(reserved_at_ms, now_ms))",
            "slice_field(string.match(policy, ':(%d+)'), reserved_at_ms)",
            ledgers.test_a_unit_is_given_back_where_it_was_counted,
        ),
        ("redis.call('PEXPIRE', key, longest_ms)", "", ledgers.test_limits_do_not_meet),
        ("if ahead > 0 then", "if false then", clock_steps.test_a_shared_limit_neither_forgets_nor_closes_for_longer),
        (
            "pcall(reserved_at_ms and give_back or reserve, key, policy, reserved_at_ms)",
            "true, (reserved_at_ms and give_back or reserve)(key, policy, reserved_at_ms)",
            partial(ledgers.test_a_limit_that_cannot_be_read_stops_no_other, broken=1),
        ),
        ("ARGV[2 * place - 1]", "ARGV[1]", ledgers.test_units_are_asked_and_given_back_together_each_for_itself),
        ("ARGV[2 * place])", "ARGV[2])", ledgers.test_units_are_given_back_each_where_it_was_counted),
    ],
}
