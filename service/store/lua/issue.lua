#!lua
-- Create a verification with its first send, if the limits of the number allow it.
--
-- KEYS   1 verification (absent)   2 number   3 stats   4 link, only if it is one
-- ARGV   1 number policy   2 ttl of the code (ms)   3 late window (ms)   4 digest of the code
--        5 stats suffix (country:channel)   6 policy of failed checks per number
--        7 most failed checks in a row   8… field, value, … of the new record
-- answer {'issued', now_ms, resend_at_ms} | {'limited', retry_after_ms, 'number' | 'failed_checks'} | {'taken'} the id exists already
-- atomic limit check, limit count, record, link, index and when the next channel of a list is due: no window of the policy ever
--        holds more sends to a number than it allows.

--@include clock.lua
--@include windows.lua
--@include streak.lua
--@include number_limits.lua
--@include index.lua
local funnel_prefix = string.sub(KEYS[1], 1, 8) .. 'funnel:'  -- the keys of its partition
--@include funnel.lua

local policy, ttl_ms, late_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('EXISTS', KEYS[1]) == 1 then return {'taken'} end
local request = {}
for i = 8, #ARGV, 2 do request[ARGV[i]] = ARGV[i + 1] end
local log, refusal = ask_number(KEYS[2], policy, ARGV[6], ARGV[7])
if refusal then
  count_blocked(request, 1, refusal[3])
  return refusal
end

local new_log = append(log, policy, now_ms)
local ids = (redis.call('HGET', KEYS[2], 'ids') or '') .. packed_id(KEYS[1])
redis.call('HSET', KEYS[2], 'sends', new_log, 'ids', string.sub(ids, -MOST_IDS * ID_BYTES))
keep_for(KEYS[2], math.max(longest_window_ms(policy), ttl_ms + late_ms))

local resend_at_ms = next_free_ms(instants(new_log, now_ms), policy, now_ms)
local record = {
  FIELD.status, 'pending', FIELD.attempts, 0, FIELD.sends, 1, SEND.sent_at_ms .. 1, string.format('%d', now_ms),
  FIELD.code .. ARGV[4], 1, FIELD.resend_at_ms, string.format('%d', resend_at_ms),
}
for i = 8, #ARGV do record[#record + 1] = ARGV[i] end
redis.call('HSET', KEYS[1], unpack(record))
redis.call('PEXPIRE', KEYS[1], ttl_ms + late_ms)
if request[FIELD.further] then
  --@include further.lua
  follow_in(KEYS[1], tonumber(string.match(request[FIELD.further], '^%d+')) * 1000)
end
if KEYS[4] then redis.call('SET', KEYS[4], string.match(KEYS[1], '[^:]+$'), 'PX', ttl_ms + late_ms) end
count(KEYS[3], 'issued:' .. ARGV[5])
request[SEND.sent_at_ms .. 1] = now_ms
count_send(KEYS[1], request, 1, now_ms + ttl_ms)
return {'issued', now_ms, resend_at_ms}
