#!lua
-- Add the next send, with its own code, to a pending verification.
--
-- KEYS   1 verification   2 number   3 stats
-- ARGV   1 number policy   2 late window (ms)   3 most sends   4 policy of failed checks per number
--        5 most failed checks in a row   6 tag of the Idempotency-Key that asks, or ''
--        7 the number, sealed under the newest key   8 '1': a test number, whose code is the same again and is sent to nobody
--        9… digests of the new code, newest key first
-- answer {'sent', record as shown.lua shows it} | {'missing'} | {'ended', record} | {'exhausted'}
--        | {'limited', retry_after_ms, 'number' | 'failed_checks'} | {'same_code'} an earlier send carries this code: draw again
--        | {'already', record} this Idempotency-Key has had its send: its request was taken for dead
-- atomic state, limits and record. Attempts are shared by all sends and never reset (NIST SP 800-63B 3.2.2).

--@include clock.lua
--@include shown.lua
--@include windows.lua
--@include streak.lua

local policy, late_ms, most_sends = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local state, sends, newest, ttl_seconds, country, channel =
  unpack(redis.call('HMGET', KEYS[1], 'st', 'n', 'lv', 'tl', 'co', 'ch'))
if not state then return {'missing'} end

if ARGV[6] ~= '' then
  for number = 1, tonumber(sends) do
    if redis.call('HGET', KEYS[1], 'k:' .. number) == ARGV[6] then
      return {'already', shown(now_ms, read_record(KEYS[1]))}
    end
  end
end
local newest_ms = tonumber(redis.call('HGET', KEYS[1], 't:' .. (newest or sends)))
local ttl_ms = tonumber(ttl_seconds) * 1000
if state ~= 'pending' or now_ms >= newest_ms + ttl_ms or now_ms < newest_ms - STEP_MS then
  return {'ended', shown(now_ms, read_record(KEYS[1]))}
end
if tonumber(sends) >= most_sends then return {'exhausted'} end
if is_stopped(KEYS[2], ARGV[5]) then return {'limited', STOPPED_RETRY_MS, 'failed_checks'} end
local log = settled_instants(KEYS[2], 'sends', now_ms)
local failures = settled_instants(KEYS[2], 'failed', now_ms)
local free_ms = math.max(next_free_ms(log, policy, now_ms), next_free_ms(failures, ARGV[4], now_ms))
if free_ms > now_ms then
  return {'limited', free_ms - now_ms, next_free_ms(log, policy, now_ms) == free_ms and 'number' or 'failed_checks'}
end
-- The same code under an older key has another digest: all of them are asked.
for i = 9, #ARGV do
  if ARGV[8] == '0' and redis.call('HEXISTS', KEYS[1], 'c:' .. ARGV[i]) == 1 then return {'same_code'} end
end

local new_log = append(log, policy, now_ms)
redis.call('HSET', KEYS[2], 'sends', new_log)
keep_for(KEYS[2], math.max(longest_window_ms(policy), ttl_ms + late_ms))
local number = tonumber(sends) + 1
redis.call('HDEL', KEYS[1], 'lv')
if ARGV[8] == '1' then redis.call('HSET', KEYS[1], 'f:' .. number, 'none') end
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'k:' .. number, ARGV[6]) end
redis.call('HSET', KEYS[1], 'n', number, 't:' .. number, string.format('%d', now_ms), 'c:' .. ARGV[9], number,
  -- Sealed anew with the code: a host that lacks the newest key must see that it cannot check this record.
  'to', ARGV[7],
  'rs', string.format('%d', next_free_ms(instants(new_log, now_ms), policy, now_ms)))
redis.call('PEXPIRE', KEYS[1], ttl_ms + late_ms, 'GT')  -- an earlier send may wait longer for its SID
count(KEYS[3], 'resent:' .. country .. ':' .. (channel or 'sms'))
return {'sent', shown(now_ms, read_record(KEYS[1]))}
