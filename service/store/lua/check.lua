#!lua
-- Check one check: count, compare, consume once, enqueue the confirmation. The heart of the service.
--
-- KEYS   1 verification   2 pending   3 pending info   4 stats
-- ARGV   1 most attempts   2 '1': only the newest code counts   3 verification id   4 prefix of number keys (same slot)
--        5 policy of failed checks per number   6 most failed checks in a row   7 policy of sends per number
--        8 ids of our keys, one byte each   9 owner that must match, or ''
--        10 digests of the typed code, 16 bytes each, newest key first
--        only when one of them is asked for: 11 number tag that must match, or ''   12 purpose that must match, or ''
--        13 idempotency field, or ''   14 fingerprint of the body
-- answer {'checked', verdict, enqueued (0/1), replayed (0/1), record as shown.lua shows it} | {'missing'}, also somebody else's | {'other_body'}
--        | {'other_key'} written under a key that this process does not have: no attempt is spent on a check it cannot check
--
-- Order matters, because a script that fails half-way is not rolled back:
--   1. the attempt is counted before anything is compared;
--   2. the entry is written before the code is consumed;
--   3. state and feedback change in one HSET.
-- A failure after 1 costs an attempt and approves nothing; after 2 it leaves an entry for a message that did arrive.
--
-- Two racing checks with the right code of send 1, most attempts 5 (Redis runs one script at a time):
--
--   check A                                   check B
--   at 0 -> 1
--   c:<digest> -> send 1, pending
--   ZADD pending SM1
--   HSET st approved, f:1 pending
--   answers approved                          at 1 -> 2
--                                             c:<digest> -> send 1, but st is approved
--                                             f:1 exists: no second entry
--                                             answers used
--
-- and two hundred racing guesses: each raises `at` before it compares; the sixth finds at = 5 and compares nothing.

-- No functions of its own, and windows.lua only where it is needed: Lua makes every function anew in each run, called or not,
-- with an object for each local it captures. That was a seventh of Redis' time for a check, with many records a quarter.

--@include clock.lua
--@include shown.lua
--@include streak.lua
--@include enqueue.lua

local DIGEST_BYTES = 16
local IDEMPOTENT_MS = 60 * 1000
local WAITING_MS = 3600 * 1000  -- how long at least a waiting confirmation is kept for its SID

local most_attempts, strict, id, number_prefix = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3], ARGV[4]
local failure_policy, most_in_a_row, send_policy = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local key_ids, owner, digests = ARGV[8], ARGV[9], ARGV[10]
local tag_asked, purpose_asked = ARGV[11] or '', ARGV[12] or ''
local idempotency_field, fingerprint = ARGV[13] or '', ARGV[14]

-- The whole record is read once: from it everything is decided, and with every change that is shown put into it, it is the answer.
local record = read_record(KEYS[1])
local state, tag = record.st, record.tg
if not state or owner ~= '' and owner ~= record.ow then return {'missing'} end
if not string.find(key_ids, string.sub(record.to, 1, 1), 1, true) then return {'other_key'} end
local country, channel = record.co, record.ch or 'sms'
local number_key = number_prefix .. tag

if idempotency_field ~= '' then
  local at, body, verdict = string.match(record[idempotency_field] or '', '^(%d+)|(%x+)|([%w_]+)$')
  if at and math.abs(now_ms - tonumber(at)) <= IDEMPOTENT_MS then
    if body ~= fingerprint then return {'other_body'} end
    return {'checked', verdict, 0, 1, shown(now_ms, record)}
  end
end

-- Used up, or the number is stopped: nothing is counted and nothing is compared. An end state speaks for itself.
local stopped, streak = is_stopped(number_key, most_in_a_row)
if stopped or tonumber(record.at) >= most_attempts then
  local verdict = ({approved = 'used', canceled = 'canceled'})[state] or 'locked'
  count(KEYS[4], 'check:' .. verdict)
  return {'checked', verdict, 0, 0, shown(now_ms, record)}
end

local attempts = redis.call('HINCRBY', KEYS[1], 'at', 1)
record.at = tostring(attempts)

local verdict, send = 'wrong_code', nil
if tag_asked ~= '' and tag_asked ~= tag or purpose_asked ~= '' and purpose_asked ~= record.pu then
  verdict = 'mismatch'
else
  for place = 1, #digests, DIGEST_BYTES do
    send = send or record['c:' .. string.sub(digests, place, place + DIGEST_BYTES - 1)]
  end
end
if send then
  local sent_ms = tonumber(record['t:' .. send])
  if state == 'approved' then verdict = 'used'
  elseif state == 'canceled' then verdict = 'canceled'
  elseif state ~= 'pending' then send = nil  -- locked or failed: a code that fits is as wrong as any
  elseif now_ms >= sent_ms + tonumber(record.tl) * 1000 or now_ms < sent_ms - STEP_MS then verdict = 'expired'
  else
    verdict = 'approved'
    -- Only what was handed to Twilio supersedes: a later send that has a SID, or is known to have got no clear answer.
    for later = tonumber(send) + 1, strict and tonumber(record.n) or 0 do
      if record['s:' .. later] or record['d:' .. later] == '0unknown' then verdict = 'superseded' end
    end
  end
end

-- The message arrived, whatever the verdict: it is confirmed once (`f:` says whether it was).
local enqueued, feedback, changes = 0, nil, {}
if send and not record['f:' .. send] then
  local sid = record['s:' .. send]
  if sid then
    enqueue(KEYS[2], KEYS[3], sid, now_ms, table.concat({id, send, country, channel}, '|'))
    enqueued = 1
  end
  feedback = sid and 'pending' or 'awaiting_sid'
  record['f:' .. send] = feedback
  changes = {'f:' .. send, feedback}
end

if verdict == 'approved' then
  record.st = 'approved'
elseif state == 'pending' and attempts >= most_attempts then
  record.st = 'locked'
end
if record.st ~= state then
  changes[#changes + 1], changes[#changes + 2] = 'st', record.st
end
if idempotency_field ~= '' then
  changes[#changes + 1] = idempotency_field
  changes[#changes + 1] = string.format('%d', now_ms) .. '|' .. fingerprint .. '|' .. verdict
end
if #changes > 0 then redis.call('HSET', KEYS[1], unpack(changes)) end
if feedback == 'awaiting_sid' then
  redis.call('PEXPIRE', KEYS[1], WAITING_MS, 'GT')
  -- For the metrics: what waits for its SID, by when its record expires. By pcall: the check stands, whatever becomes of this.
  local awaiting_key = KEYS[2] .. ':awaiting_sid'
  local expires_ms = string.format('%d', now_ms + redis.call('PTTL', KEYS[1]))
  redis.pcall('ZREMRANGEBYSCORE', awaiting_key, '-inf', now_ms)
  redis.pcall('ZADD', awaiting_key, expires_ms, id .. '|' .. send)
  redis.pcall('PEXPIREAT', awaiting_key, expires_ms, 'NX')
  redis.pcall('PEXPIREAT', awaiting_key, expires_ms, 'GT')
  -- For the worker: should neither Twilio's answer nor a callback bring the SID within a minute, it looks for the message.
  local lookups_key = KEYS[2] .. ':lookups'
  redis.pcall('ZADD', lookups_key, 'NX', string.format('%d', now_ms + 60 * 1000), id .. '|' .. send)
  redis.pcall('PEXPIREAT', lookups_key, expires_ms, 'NX')
  redis.pcall('PEXPIREAT', lookups_key, expires_ms, 'GT')
end

-- A verification whose only message was refused holds no code: who guesses at it guesses at nothing, and must not be able
-- to close a number with that, for such a verification used up no send of the number either.
local is_failed_check = (verdict == 'wrong_code' or verdict == 'mismatch') and state ~= 'failed'
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
    -- Nothing that is left needs the time of failed checks in a row any more: the windows do, and the record of a newer verification at most as long as this.
    local rest_ms = math.max(longest_window_ms(send_policy), longest_window_ms(failure_policy), redis.call('PTTL', KEYS[1]))
    redis.call('PEXPIRE', number_key, rest_ms, 'LT')
  end
end
count(KEYS[4], verdict == 'approved' and 'approved:' .. country .. ':' .. channel or 'check:' .. verdict)
return {'checked', verdict, enqueued, 0, shown(now_ms, record)}
