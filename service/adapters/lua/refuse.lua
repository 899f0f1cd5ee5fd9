#!lua
-- Take back a send that certainly was not sent.
--
-- KEYS   1 verification   2 number   3 stats
-- ARGV   1 send number   2 Twilio's error code, or ''   3 rank and status of a failed message   4 '1': the fault passes
--        (busy, unreachable), so the number's limit gets this send back
-- answer {'refused', now_ms, field, value, …} | {'missing'}
-- atomic its code can never be accepted, and the verification fails when no other send is left to wait for.

--@include clock.lua

local send = ARGV[1]
local state, sent_ms, country, channel =
  unpack(redis.call('HMGET', KEYS[1], 'st', 't:' .. send, 'co', 'ch'))
if not state or not sent_ms then return {'missing'} end

local other_codes = 0
local record = redis.call('HGETALL', KEYS[1])
for i = 1, #record, 2 do
  if string.sub(record[i], 1, 2) == 'c:' then
    if record[i + 1] == send then
      redis.call('HDEL', KEYS[1], record[i])
    else
      other_codes = other_codes + 1
    end
  end
end
local changes = {'d:' .. send, ARGV[3]}
if ARGV[2] ~= '' then
  changes[#changes + 1] = 'x:' .. send
  changes[#changes + 1] = ARGV[2]
end
if other_codes == 0 and state == 'pending' then
  changes[#changes + 1] = 'st'
  changes[#changes + 1] = 'failed'
end
if ARGV[4] == '1' then
  changes[#changes + 1] = 'rs'
  changes[#changes + 1] = string.format('%d', now_ms)
  local log = redis.call('HGET', KEYS[2], 'sends')
  if log then
    local kept, dropped = {}, false
    for instant in string.gmatch(log, '%d+') do
      -- Two sends may share a millisecond: only one is taken back.
      if instant == sent_ms and not dropped then dropped = true else kept[#kept + 1] = instant end
    end
    redis.call('HSET', KEYS[2], 'sends', table.concat(kept, ','))
  end
end
redis.call('HSET', KEYS[1], unpack(changes))
count(KEYS[3], 'refused:' .. country .. ':' .. (channel or 'sms'))
return {'refused', now_ms, unpack(redis.call('HGETALL', KEYS[1]))}
