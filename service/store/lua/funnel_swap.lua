#!lua
-- Replace the merged counters of an hour or a day, unless another worker has done so since they were read.
--
-- KEYS   1 merged counters
-- ARGV   1 version that was read, 0 if there was none   2 new content   3 when it expires (s)
-- answer 1, or 0 if it has another version by now
-- atomic of any number of workers that read one version, one replaces it.

if (redis.call('HGET', KEYS[1], 'v') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1] + 1, 'b', ARGV[2])
redis.call('EXPIREAT', KEYS[1], ARGV[3])
return 1
