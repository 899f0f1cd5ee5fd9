#!lua
-- Count the outcome of a lookup; one that failed is given back.
--
-- KEYS   1 lookups   2 verification   3 stats
-- ARGV   1 verification id   2 send number   3 claimed until (ms), as claimed   4 'found', 'not_found' or 'failed'
--        5 if it failed: due again in (ms)
-- answer 1, or 0 if another process has claimed the lookup, or it is no longer needed: then it is only counted
-- atomic a lookup that is given back is not one of the send's lookups. An expired record is not brought back.

--@include clock.lua

local member, looks = ARGV[1] .. '|' .. ARGV[2], SEND.lookups .. ARGV[2]
count(KEYS[3], 'lookup:' .. ARGV[4])
local due_ms = redis.call('ZSCORE', KEYS[1], member)
if not due_ms or tonumber(due_ms) ~= tonumber(ARGV[3]) then return 0 end
if ARGV[4] == 'failed' and redis.call('HEXISTS', KEYS[2], looks) == 1 then
  redis.call('ZADD', KEYS[1], 'XX', string.format('%d', now_ms + tonumber(ARGV[5])), member)
  redis.call('HINCRBY', KEYS[2], looks, -1)
end
return 1
