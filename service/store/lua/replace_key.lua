#!lua
-- Write what is kept of an API key anew, if it is as it was read: a key that was revoked meanwhile stays revoked.
--
-- KEYS   1 API keys
-- ARGV   1 digest of the key   2 what was read   3 what to keep
-- answer 1 when it was written, else 0
-- atomic the comparison and the write.

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
