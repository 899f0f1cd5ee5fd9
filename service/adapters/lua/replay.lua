#!lua
-- Owe a dead confirmation again, with fresh tries and a fresh day.
--
-- KEYS   1 dead   2 dead info   3 owed   4 owed info
-- ARGV   1 SID   2 prefix of verification keys (same slot)
-- answer 1, or 0 when there is no such dead confirmation
-- atomic the debt is written before the dead entry goes.

--@include clock.lua
--@include owe.lua

local sid = ARGV[1]
local dead = redis.call('HGET', KEYS[2], sid)
if not dead then return 0 end
local id, send, country, channel = string.match(dead, '^%d*|%d*|([^|]*)|([^|]*)|([^|]*)|([^|]*)|')
owe(KEYS[3], KEYS[4], sid, now_ms, id, send, country, channel)
local verification_key = ARGV[2] .. id
if redis.call('HEXISTS', verification_key, 'f:' .. send) == 1 then
  redis.call('HSET', verification_key, 'f:' .. send, 'owed')
end
redis.call('HDEL', KEYS[2], sid)
redis.call('ZREM', KEYS[1], sid)
return 1
