#!lua
-- Take back a send that certainly was not sent.
--
-- KEYS   1 verification   2 number   3 stats
-- ARGV   1 send number, or '' for the send that carries a code   2 Twilio's error code, or ''   3 rank and status of a failed message   4 '1': the fault passes
--        (busy, unreachable, our own), so a resend leaves no trace
--        only for a send that is told by its code: 5 digest of the code   6 how many sends there were before it
-- answer {'refused', record as shown.lua shows it} | {'missing'}
-- atomic its code can never be accepted; the number's limit gets it back, for nobody was disturbed; the verification fails
--        when no other send is left to wait for, else `lv` says which of those is the newest, for it is that one's expiry
--        that counts now.

--@include clock.lua
--@include shown.lua

local FAILED_MS = 60 * 1000

local send, passing = ARGV[1], ARGV[4] == '1'
if send == '' then
  send = redis.call('HGET', KEYS[1], 'c:' .. ARGV[5])
  if not send or tonumber(send) <= tonumber(ARGV[6]) then return {'missing'} end
end
local state, sends, sent_ms, country, channel =
  unpack(redis.call('HMGET', KEYS[1], 'st', 'n', 't:' .. send, 'co', 'ch'))
if not state or not sent_ms then return {'missing'} end

local newest_other = 0
local record = redis.call('HGETALL', KEYS[1])
for i = 1, #record, 2 do
  if string.sub(record[i], 1, 2) == 'c:' then
    if record[i + 1] == send then
      redis.call('HDEL', KEYS[1], record[i])
    else
      newest_other = math.max(newest_other, tonumber(record[i + 1]))
    end
  end
end

-- Nothing was sent: a repeat of the request that asked for it may send.
redis.call('HDEL', KEYS[1], 'k:' .. send)
if passing and send == sends and newest_other > 0 then
  redis.call('HDEL', KEYS[1], 't:' .. send, 'd:' .. send, 'x:' .. send)
  sends = tonumber(sends) - 1
  redis.call('HSET', KEYS[1], 'n', sends)
else
  redis.call('HSET', KEYS[1], 'd:' .. send, ARGV[3])
  if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'x:' .. send, ARGV[2]) end
end
if newest_other > 0 then
  redis.call('HSET', KEYS[1], 'lv', newest_other)
elseif state == 'pending' then
  redis.call('HSET', KEYS[1], 'st', 'failed')
  -- While Twilio is busy a flood of such records would fill Redis: the caller has heard, and may look for a minute.
  if passing then redis.call('PEXPIRE', KEYS[1], FAILED_MS, 'LT') end
end

redis.call('HSET', KEYS[1], 'rs', string.format('%d', now_ms))
local log = redis.call('HGET', KEYS[2], 'sends')
if log then
  local kept, dropped = {}, false
  for instant in string.gmatch(log, '%d+') do
    -- Two sends may share a millisecond: only one is taken back.
    if instant == sent_ms and not dropped then dropped = true else kept[#kept + 1] = instant end
  end
  -- A number that nothing was sent to, and of which nothing else is remembered, leaves no record.
  if #kept > 0 then
    redis.call('HSET', KEYS[2], 'sends', table.concat(kept, ','))
  else
    redis.call('HDEL', KEYS[2], 'sends')
  end
end
count(KEYS[3], 'refused:' .. country .. ':' .. (channel or 'sms'))
return {'refused', shown(now_ms, read_record(KEYS[1]))}
