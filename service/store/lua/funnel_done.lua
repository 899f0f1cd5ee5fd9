#!lua
-- Forget counters that were taken and have been merged.
--
-- KEYS   1 counters that were taken   2 counters   3 which counters there are
-- ARGV   1 take   2 name of the counters
-- answer 1, or 0 if they are gone or were taken again since
-- atomic the counters are listed for as long as there is anything of them.

if redis.call('HGET', KEYS[1], '@') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('SREM', KEYS[3], ARGV[2]) end
return 1
