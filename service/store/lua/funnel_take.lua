#!lua
-- Take the counters of an hour or a day of one partition, to merge them elsewhere. What moves afterwards begins a new key.
--
-- KEYS   1 counters   2 counters that were taken   3 how often counters were taken in this partition
-- ARGV   1 life of KEYS[3] (s)
-- answer {take, field, value, …}; empty if nothing was counted
-- atomic what was taken stays until `funnel_done.lua`, and is the answer until then: a worker that is killed loses nothing.

if redis.call('EXISTS', KEYS[2]) == 0 then
  if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
  redis.call('RENAME', KEYS[1], KEYS[2])  -- it keeps its TTL
  redis.call('HSET', KEYS[2], '@', redis.call('INCR', KEYS[3]))
  redis.call('EXPIRE', KEYS[3], ARGV[1])
end
local answer = redis.call('HGETALL', KEYS[2])
table.insert(answer, 1, tonumber(redis.call('HGET', KEYS[2], '@')))
return answer
