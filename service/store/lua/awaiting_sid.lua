#!lua flags=no-writes
-- Count the sends of a partition whose code was typed and whose SID is unknown.
--
-- KEYS   1 awaiting SID
-- answer how many of them still have a record

local time = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000)), '+inf')
