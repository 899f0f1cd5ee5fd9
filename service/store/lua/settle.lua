#!lua
-- End an entry: Twilio has taken the confirmation, or has refused it for good.
--
-- KEYS   1 pending   2 pending info   3 verification   4 stats   5 failed   6 failed info
-- ARGV   1 SID   2 send number   3 'confirmed' or 'failed'   4 stats suffix (country:channel)   5 reason of the refusal
--        6 leased until (ms), as claimed; asked for when it is given up only: what Twilio has accepted is removed whoever says so
-- answer 1, or 0 when another worker has ended the entry, or has leased one that is to be given up
-- atomic an entry leaves `outbox` once, and with it changes the send's feedback, if its record still lives.

--@include clock.lua

local FAILED_TTL_SECONDS = 14 * 86400
local FAILED_REMOVED_AT_ONCE = 100

local sid, send, outcome = ARGV[1], ARGV[2], ARGV[3]
local due_ms = redis.call('ZSCORE', KEYS[1], sid)
if not due_ms or outcome == 'failed' and tonumber(due_ms) ~= tonumber(ARGV[6]) then return 0 end
if outcome == 'failed' then
  local info = redis.call('HGET', KEYS[2], sid) or ''
  -- Garbled particulars would make the list of the failed unreadable and this one unreplayable.
  if not string.match(info, '^%d+|%d+|[^|]*|%d+|[^|]*|[^|]*$') then info = '0|0||||' end
  redis.call('HSET', KEYS[6], sid, info .. '|' .. ARGV[5])
  redis.call('ZADD', KEYS[5], string.format('%d', now_ms), sid)
  local horizon_ms = string.format('%d', now_ms - FAILED_TTL_SECONDS * 1000)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', horizon_ms, 'LIMIT', 0, FAILED_REMOVED_AT_ONCE)) do
    redis.call('ZREM', KEYS[5], old)
    redis.call('HDEL', KEYS[6], old)
  end
  redis.call('EXPIRE', KEYS[5], FAILED_TTL_SECONDS)
  redis.call('EXPIRE', KEYS[6], FAILED_TTL_SECONDS)
end
if redis.call('HEXISTS', KEYS[3], 'f:' .. send) == 1 then redis.call('HSET', KEYS[3], 'f:' .. send, outcome) end
count(KEYS[4], (outcome == 'failed' and 'confirmation_failed:' or 'confirmed:') .. ARGV[4])
redis.call('HDEL', KEYS[2], sid)
redis.call('ZREM', KEYS[1], sid)
return 1
