#!lua
-- Enqueue a failed entry again, with fresh tries and a fresh day.
--
-- KEYS   1 pending   2 pending info   3 failed   4 failed info   5 a record that changes too, if any
-- ARGV   1 key of the entry   2 field of the record: it is set only if it exists   3 its value
-- answer 1, or 0 if there is no such failed entry
-- atomic the entry is written before the failed entry goes.

--@include clock.lua
--@include enqueue.lua

local key = ARGV[1]
local failed = redis.call('HGET', KEYS[4], key)
if not failed then return 0 end
enqueue(KEYS[1], KEYS[2], key, now_ms, string.match(failed, '^%d+|%d+|([^\n]*)') or '')
if KEYS[5] and redis.call('HEXISTS', KEYS[5], ARGV[2]) == 1 then redis.call('HSET', KEYS[5], ARGV[2], ARGV[3]) end
redis.call('HDEL', KEYS[4], key)
redis.call('ZREM', KEYS[3], key)
return 1
