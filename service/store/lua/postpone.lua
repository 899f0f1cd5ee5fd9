#!lua
-- Give a claimed entry back, due again later.
--
-- KEYS   1 pending   2 pending info
-- ARGV   1 key of the entry   2 leased until (ms), as claimed   3 delay (ms)   4 '1': this was a try, count it
-- answer 1, or 0 if the lease has passed to another worker (see the timeline in claim.lua)

--@include clock.lua

local key = ARGV[1]
local due_ms = redis.call('ZSCORE', KEYS[1], key)
if not due_ms or tonumber(due_ms) ~= tonumber(ARGV[2]) then return 0 end
local info = redis.call('HGET', KEYS[2], key)
if info and ARGV[4] == '1' then
  local tries, rest = string.match(info, '^(%d+)(|.*)$')
  redis.call('HSET', KEYS[2], key, (tonumber(tries) + 1) .. rest)
end
redis.call('ZADD', KEYS[1], 'XX', string.format('%d', now_ms + tonumber(ARGV[3])), key)
renew(KEYS[1], OUTBOX_TTL_SECONDS)
renew(KEYS[2], OUTBOX_TTL_SECONDS)
return 1
