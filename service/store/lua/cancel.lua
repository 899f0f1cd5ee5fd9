#!lua
-- End a pending verification. One that has ended keeps its end, and one whose newest code has expired has ended.
--
-- KEYS   1 verification   2 stats
-- ARGV   1 owner that must match, or ''
-- answer {'read', record as shown.lua shows it} | {'missing'}, also somebody else's

--@include clock.lua
--@include shown.lua

local state, sends, newest, ttl_seconds, owner = unpack(redis.call('HMGET', KEYS[1], 'st', 'n', 'lv', 'tl', 'ow'))
if not state or ARGV[1] ~= '' and ARGV[1] ~= owner then return {'missing'} end
local newest_ms = tonumber(redis.call('HGET', KEYS[1], 't:' .. (newest or sends)))
if state == 'pending' and now_ms < newest_ms + tonumber(ttl_seconds) * 1000 and now_ms >= newest_ms - STEP_MS then
  redis.call('HSET', KEYS[1], 'st', 'canceled')
  count(KEYS[2], 'canceled')
end
return {'read', shown(now_ms, read_record(KEYS[1]))}
