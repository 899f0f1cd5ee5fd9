#!lua flags=allow-oom
-- Forget the counted sends and failed checks of a number. The index of its verifications stays as long as they may.
--
-- KEYS   1 number
-- ARGV   1 longest life of a verification (ms)
-- answer how many of its locks were stored: 0 if there was nothing to release
-- atomic a check or an issue at the same time is counted wholly before or wholly after.

redis.call('PEXPIRE', KEYS[1], ARGV[1], 'LT')
return redis.call('HDEL', KEYS[1], 'sends', 'failed', 'streak')
