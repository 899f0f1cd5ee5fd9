#!lua
-- Add the counts of one process to the counters.
--
-- KEYS   1 stats
-- ARGV   1 name of a counter   2 how much to add
--        and so on: two for each counter
-- answer 1
-- atomic all of them or none.

--@include clock.lua

for i = 1, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
renew(KEYS[1], STATS_TTL_SECONDS)
return 1
