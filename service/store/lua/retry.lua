#!lua
-- Enqueue a failed confirmation again, with fresh tries and a fresh day.
--
-- KEYS   1 failed   2 failed info   3 pending   4 pending info
-- ARGV   1 SID   2 prefix of verification keys (same slot)
-- answer 1, or 0 when there is no such failed confirmation
-- atomic the entry is written before the failed entry goes.

--@include clock.lua
--@include enqueue.lua

local sid = ARGV[1]
local failed = redis.call('HGET', KEYS[2], sid)
if not failed then return 0 end
local id, send, country, channel = string.match(failed, '^%d*|%d*|([^|]*)|([^|]*)|([^|]*)|([^|]*)|')
enqueue(KEYS[3], KEYS[4], sid, now_ms, id, send, country, channel)
local verification_key = ARGV[2] .. id
if redis.call('HEXISTS', verification_key, 'f:' .. send) == 1 then
  redis.call('HSET', verification_key, 'f:' .. send, 'pending')
end
redis.call('HDEL', KEYS[2], sid)
redis.call('ZREM', KEYS[1], sid)
return 1
