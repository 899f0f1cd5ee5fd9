#!lua
-- Decide one check: count, compare, consume once, enqueue the confirmation.
--
-- KEYS   1 verification   2 outbox   3 outbox info   4 stats
-- ARGV   1 most attempts   2 '1' or '3': only the newest code counts; '2' or '3': approvals wait for replicas   3 verification id   4 prefix of number keys (same slot)
--        5 policy of failed checks per number   6 most failed checks in a row   7 policy of sends per number
--        8 ids of our keys, one byte each   9 owner that must match, or ''
--        10 digests of the secret, 16 bytes each, newest key first
--        only when one of them is given: 11 number tag that must match, or ''   12 purpose that must match, or ''
--        13 idempotency field, or ''   14 fingerprint of the body
--        only when the secret is not a code: 15 its action
--        16 of an action with a match: 'matched', 'mismatched', 'absent' or, of a link, 'declined'   17 tag of the payment, or ''
--        18 '1': whose answer it is can be forged
-- answer {'checked', verdict, enqueued (0/1), replayed (0/1), record as shown.lua shows it} | {'other_body'}
--        An approval that waits for replicas leaves the status pending, with a mark. `replicated.lua` makes it an approval
--        that may be told. Until then the same secret is answered 'approved' again, and costs no attempt.
--        | {'missing'}, also when it belongs to another owner
--        | {'wrong_action'} the verification asks for another kind of secret: nothing is counted and nothing is compared
--        | {'newer_format'} | {'other_key'} this process cannot check the record, so no attempt is spent
--
-- Order matters, because a script that fails half-way is not rolled back:
--   1. the attempt is counted before anything is compared. A right secret with an absent match costs none: its caller has
--      compared it already, and it approves nothing;
--   2. the entry is written before the code is consumed;
--   3. status and feedback change in one HSET.
-- A failure after 1 costs an attempt and approves nothing. A failure after 2 leaves an entry for a message that did arrive.
--
-- Two racing checks with the right code of send 1, most attempts 5 (Redis runs one script at a time):
--
--   check A                                   check B
--   attempts 0 -> 1
--   the code is that of send 1, pending
--   ZADD outbox SM1
--   HSET status approved, feedback pending
--   answers approved                          attempts 1 -> 2
--                                             the code is that of send 1, but the status is approved
--                                             feedback exists: no second entry
--                                             answers used
--
-- Two hundred racing guesses: each raises the attempts before it compares. The sixth finds 5 of them and compares nothing.

-- This script defines no functions, and includes windows.lua only where it needs it: Lua creates every function anew in each
-- run, called or not, with an object for each local that it captures. That took a seventh of Redis' time for a check.

--@include clock.lua
--@include shown.lua
--@include streak.lua
--@include enqueue.lua

local DIGEST_BYTES = 16
local IDEMPOTENT_MS = 60 * 1000
local LONGEST_SECRET_MS = 86400 * 1000  -- of a password
local WAITING_MS = 3600 * 1000  -- how long at least a waiting confirmation is kept for its SID

local most_attempts, mode, id, number_prefix = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local strict, waits = mode == '1' or mode == '3', mode == '2' or mode == '3'
local failure_policy, most_in_a_row, send_policy = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local key_ids, owner, digests = ARGV[8], ARGV[9], ARGV[10]
local tag_asked, purpose_asked = ARGV[11] or '', ARGV[12] or ''
local idempotency_field, fingerprint = ARGV[13] or '', ARGV[14]
local matching = ARGV[16]

-- The record is read once. Changes that the answer shows are made in this copy too.
local record = read_record(KEYS[1])
local state, tag = record[FIELD.status], record[FIELD.number_tag]
if not state or owner ~= '' and owner ~= record[FIELD.owner] then return {'missing'} end
if tonumber(record[FIELD.format]) > FORMAT_VERSION then return {'newer_format'} end
if not string.find(key_ids, string.sub(record[FIELD.number], 1, 1), 1, true) then return {'other_key'} end
if (record[FIELD.action] or DEFAULT.action) ~= (ARGV[15] or DEFAULT.action) then return {'wrong_action'} end
local country, channel = record[FIELD.country], nil
local number_key = number_prefix .. tag

if idempotency_field ~= '' then
  local at, body, verdict = string.match(record[idempotency_field] or '', '^(%d+)|(%x+)|([%w_]+)$')
  -- What can be forged can be replayed at any time: it is decided once for as long as the record lives.
  if at and (ARGV[18] or math.abs(now_ms - tonumber(at)) <= IDEMPOTENT_MS) then
    if body ~= fingerprint then return {'other_body'} end
    return {'checked', verdict, 0, 1, shown(now_ms, record)}
  end
end

-- Approved already, but nobody was told: the same secret waits for the replicas again.
local marked = state == 'pending' and record[FIELD.unreplicated]
if waits and marked and (not matching or matching == 'matched') and (tag_asked == '' or tag_asked == tag)
  and (purpose_asked == '' or purpose_asked == (record[FIELD.purpose] or DEFAULT.purpose)) then
  local sent_ms = tonumber(record[SEND.sent_at_ms .. marked])
  for place = 1, #digests, DIGEST_BYTES do
    if record[FIELD.code .. string.sub(digests, place, place + DIGEST_BYTES - 1)] == marked
      and now_ms < sent_ms + tonumber(record[FIELD.ttl_seconds]) * 1000 and now_ms >= sent_ms - STEP_MS then
      if idempotency_field ~= '' then
        redis.call('HSET', KEYS[1], idempotency_field, string.format('%d', now_ms) .. '|' .. fingerprint .. '|approved')
      end
      return {'checked', 'approved', 0, 0, shown(now_ms, record)}
    end
  end
end

-- Attempts used up, or number stopped: nothing is counted and nothing is compared.
local stopped, streak = is_stopped(number_key, most_in_a_row, ARGV[18])
if stopped or tonumber(record[FIELD.attempts]) >= most_attempts then
  local verdict = ({approved = 'used', canceled = 'canceled'})[state] or 'locked'
  count(KEYS[4], 'check:' .. verdict)
  return {'checked', verdict, 0, 0, shown(now_ms, record)}
end

local attempts = tonumber(record[FIELD.attempts])
if matching ~= 'absent' then
  attempts = redis.call('HINCRBY', KEYS[1], FIELD.attempts, '1')
  record[FIELD.attempts] = tostring(attempts)
end

local verdict, send, sent_ms = 'wrong_code', nil, nil
if tag_asked ~= '' and tag_asked ~= tag or purpose_asked ~= '' and purpose_asked ~= (record[FIELD.purpose] or DEFAULT.purpose) then
  verdict = 'mismatch'
else
  for place = 1, #digests, DIGEST_BYTES do
    send = send or record[FIELD.code .. string.sub(digests, place, place + DIGEST_BYTES - 1)]
  end
  -- A secret is digested with its payment, so with another payment no send is found, be the secret right or wrong.
  if not send and (ARGV[17] or '') ~= (record[FIELD.payment_tag] or '') then verdict = 'mismatch' end
end
if send then
  channel = record[SEND.channel .. send] or DEFAULT.channel
  local timed = send
  -- To decline ends the verification, which lives as long as its newest send.
  if matching == 'declined' then timed = record[FIELD.newest] or record[FIELD.sends] end
  sent_ms = tonumber(record[SEND.sent_at_ms .. timed])
  if state == 'approved' then verdict = 'used'
  elseif state == 'canceled' then verdict = 'canceled'
  elseif state ~= 'pending' then send = nil  -- no attempts left, or failed: the right code is as wrong as any other
  elseif now_ms >= sent_ms + tonumber(record[FIELD.ttl_seconds]) * 1000 or now_ms < sent_ms - STEP_MS then verdict = 'expired'
  elseif matching == 'mismatched' or matching == 'absent' then verdict = 'wrong_code'
  elseif matching == 'declined' then verdict = 'canceled'
  else
    verdict = 'approved'
    -- Only a send that was handed to the provider supersedes: it has a SID, or is noted as without a clear answer.
    for later = tonumber(send) + 1, strict and tonumber(record[FIELD.sends]) or 0 do
      if record[SEND.sid .. later] or record[SEND.status .. later] == '0unknown' then verdict = 'superseded' end
    end
  end
end

-- The message arrived, whatever the verdict: it is confirmed once, unless its feedback says that it was, or must not be.
local enqueued, feedback, changes = 0, nil, {}
if send and not record[SEND.feedback .. send] then
  local sid = record[SEND.sid .. send]
  if sid then
    enqueue(KEYS[2], KEYS[3], sid, now_ms, id .. '|' .. send .. '|' .. country .. '|' .. channel)
    enqueued = 1
  end
  feedback = sid and 'pending' or 'awaiting_sid'
  record[SEND.feedback .. send] = feedback
  changes = {SEND.feedback .. send, feedback}
end

if verdict == 'approved' then
  if waits then
    changes[#changes + 1], changes[#changes + 2] = FIELD.unreplicated, send
  else
    record[FIELD.status] = 'approved'
  end
elseif state == 'pending' and verdict == 'canceled' then
  record[FIELD.status] = 'canceled'
  count(KEYS[4], 'canceled')
elseif state == 'pending' and attempts >= most_attempts and not marked then
  record[FIELD.status] = 'max_attempts_reached'
end
if record[FIELD.status] ~= state then
  changes[#changes + 1], changes[#changes + 2] = FIELD.status, record[FIELD.status]
end
-- For the report: how the send converted, or that only wrong secrets were typed since.
local outcome, wrong_after = nil, tonumber(record[FIELD.wrong_after] or 0)
if verdict == 'approved' then
  local slot = math.max(0, math.ceil(2 * math.log((now_ms - sent_ms) / 1000) / math.log(2)))  -- as slot_of in funnel.lua
  outcome = 'c' .. slot
elseif send and not record[SEND.outcome .. send] then
  outcome = 'l'
elseif not send and wrong_after < tonumber(record[FIELD.sends]) then
  wrong_after = tonumber(record[FIELD.sends])
  changes[#changes + 1], changes[#changes + 2] = FIELD.wrong_after, wrong_after
end
if outcome then changes[#changes + 1], changes[#changes + 2] = SEND.outcome .. send, outcome end
local is_moved = #changes > 0 and not record[FIELD.is_test]
if idempotency_field ~= '' and matching ~= 'absent' then  -- decided again, it changes nothing
  changes[#changes + 1] = idempotency_field
  changes[#changes + 1] = string.format('%d', now_ms) .. '|' .. fingerprint .. '|' .. verdict
end
if #changes > 0 then redis.call('HSET', KEYS[1], unpack(changes)) end
if feedback == 'awaiting_sid' then
  redis.call('PEXPIRE', KEYS[1], WAITING_MS, 'GT')
  if record[FIELD.action] == 'link' then
    --@include links.lua
    keep_links(KEYS[1], record, WAITING_MS)
  end
  redis.pcall('PEXPIRE', number_key, WAITING_MS, 'GT')  -- it lists the verification; by pcall as below
  -- For the metrics: sends that wait for their SID, by when their records expire. By pcall: a failure here must not undo the check.
  local awaiting_key = KEYS[2] .. ':awaiting_sid'
  local expires_ms = string.format('%d', now_ms + redis.call('PTTL', KEYS[1]))
  redis.pcall('ZREMRANGEBYSCORE', awaiting_key, '-inf', now_ms)
  redis.pcall('ZADD', awaiting_key, expires_ms, id .. '|' .. send)
  redis.pcall('PEXPIREAT', awaiting_key, expires_ms, 'NX')
  redis.pcall('PEXPIREAT', awaiting_key, expires_ms, 'GT')
  -- For the worker: it looks for the message when neither the provider's answer nor a callback brings the SID within a minute.
  local lookups_key = KEYS[2] .. ':lookups'
  redis.pcall('ZADD', lookups_key, 'NX', string.format('%d', now_ms + 60 * 1000), id .. '|' .. send)
  redis.pcall('PEXPIREAT', lookups_key, expires_ms, 'NX')
  redis.pcall('PEXPIREAT', lookups_key, expires_ms, 'GT')
end

-- A verification whose only message was refused holds no code. Guesses at it must not stop the number: it used up none of the
-- number's sends either. Nor must strangers stop it, who can forge its answers.
local is_failed_check = (verdict == 'wrong_code' or verdict == 'mismatch') and state ~= 'failed' and not ARGV[18]
if is_failed_check or verdict == 'approved' and streak > 0 then
  --@include windows.lua
  if is_failed_check then
    local failures = instants(redis.call('HGET', number_key, 'failed'), now_ms)
    if failure_policy ~= '' then redis.call('HSET', number_key, 'failed', append(failures, failure_policy, now_ms)) end
    streak = redis.call('HINCRBY', number_key, 'streak', 1)
    keep_for(number_key, math.max(math.ceil(STOP_TTL_MS * streak / most_in_a_row), longest_window_ms(failure_policy)))
    if streak == most_in_a_row then count(KEYS[4], 'numbers:stopped') end
  else
    redis.call('HDEL', number_key, 'streak')
    -- The row of failed checks is over, so the windows and the verifications alone decide how long the number is remembered.
    -- Another verification may live longer than this one by the life of a password, or while it waits for its SID.
    local verifications_ms = math.max(redis.call('PTTL', KEYS[1]) + LONGEST_SECRET_MS, WAITING_MS)
    local rest_ms = math.max(longest_window_ms(send_policy), longest_window_ms(failure_policy), verifications_ms)
    redis.call('PEXPIRE', number_key, rest_ms, 'LT')
  end
end
if is_moved then
  local funnel_prefix = string.sub(KEYS[1], 1, 8) .. 'funnel:'  -- the keys of its partition
  local typed_send, was, is = tonumber(send), string.sub(state, 1, 1), string.sub(record[FIELD.status], 1, 1)
  if marked then was = 'a' end
  if is == 'p' and (marked or verdict == 'approved') then is = 'a' end
  for number = 1, tonumber(record[FIELD.sends]) do
    local send = number == 1 and '1' or tostring(number)  -- a text: Lua would write a number anew in each name
    --@include counted_as.lua
    local became = typed
    if outcome and number == typed_send then became = outcome
    elseif typed == '-' and wrong_after >= number then became = 'w' end
    if became ~= typed or is ~= was then
      local moved = labels .. '|' .. delivery .. '.' .. typed .. '.' .. was .. '>' .. delivery .. '.' .. became .. '.' .. is
      if redis.call('HINCRBY', sent_key, moved, '1') == 1 and redis.call('TTL', sent_key) < 0 then
        --@include funnel.lua
        keep_listed(sent_key)
      end
    end
  end
  if outcome == 'l' and verdict ~= 'wrong_code' then
    --@include funnel.lua
    record[SEND.outcome .. send] = outcome
    log_unconverted(KEYS[1], record, send)
  end
end
if verdict ~= 'approved' then
  count(KEYS[4], 'check:' .. verdict)
elseif not marked then
  count(KEYS[4], 'approved:' .. country .. ':' .. channel .. (is_moved and ':' .. string.sub(outcome, 2) or ''))
end
return {'checked', verdict, enqueued, 0, shown(now_ms, record)}
