#!lua
-- End an entry: it was delivered, or it is given up.
--
-- KEYS   1 pending   2 pending info   3 failed   4 failed info   5 stats   6 a record that changes too, if any
-- ARGV   1 key of the entry   2 'delivered' or 'failed'   3 reason of the failure
--        4 leased until (ms), as claimed; compared only on failure: a delivered entry is removed whoever has the lease
--        5 counter, or ''   6 field of the record: it is set only if it exists   7 its value
-- answer 1, or 0 if another worker has ended the entry, or has leased one that is to be given up
-- atomic an entry leaves the queue once, and the record changes in the same step, if it still exists.

--@include clock.lua

local FAILED_TTL_SECONDS = 14 * 86400
local FAILED_REMOVED_AT_ONCE = 100

local key, is_failed = ARGV[1], ARGV[2] == 'failed'
local due_ms = redis.call('ZSCORE', KEYS[1], key)
if not due_ms or is_failed and tonumber(due_ms) ~= tonumber(ARGV[4]) then return 0 end
if is_failed then
  -- The reason follows after a line break, so that a garbled line cannot hide it.
  local info = string.gsub(redis.call('HGET', KEYS[2], key) or '', '\n', ' ')
  redis.call('HSET', KEYS[4], key, info .. '\n' .. ARGV[3])
  redis.call('ZADD', KEYS[3], string.format('%d', now_ms), key)
  local horizon_ms = string.format('%d', now_ms - FAILED_TTL_SECONDS * 1000)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', horizon_ms, 'LIMIT', 0, FAILED_REMOVED_AT_ONCE)) do
    redis.call('ZREM', KEYS[3], old)
    redis.call('HDEL', KEYS[4], old)
  end
  redis.call('EXPIRE', KEYS[3], FAILED_TTL_SECONDS)
  redis.call('EXPIRE', KEYS[4], FAILED_TTL_SECONDS)
end
if KEYS[6] and redis.call('HEXISTS', KEYS[6], ARGV[6]) == 1 then redis.call('HSET', KEYS[6], ARGV[6], ARGV[7]) end
if ARGV[5] ~= '' then count(KEYS[5], ARGV[5]) end
redis.call('HDEL', KEYS[2], key)
redis.call('ZREM', KEYS[1], key)
return 1
