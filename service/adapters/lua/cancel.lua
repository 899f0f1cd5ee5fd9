#!lua
-- End a pending verification. One that has ended keeps its end.
--
-- KEYS   1 verification   2 stats
-- answer {'read', now_ms, field, value, …} | {'missing'}

--@include clock.lua

local state = redis.call('HGET', KEYS[1], 'st')
if not state then return {'missing'} end
if state == 'pending' then
  redis.call('HSET', KEYS[1], 'st', 'canceled')
  count(KEYS[2], 'canceled')
end
return {'read', now_ms, unpack(redis.call('HGETALL', KEYS[1]))}
