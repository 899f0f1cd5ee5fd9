#!lua
-- Add to counters what a process has counted by itself.
--
-- KEYS   1 stats
-- ARGV   1 name of a counter   2 how many more
--        and so two for each counter
-- answer 1
-- atomic all of them or none.

--@include clock.lua

for i = 1, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
renew(KEYS[1], STATS_TTL_SECONDS)
return 1
