#!lua flags=no-writes
-- Look at the queue of one kind in a partition.
--
-- KEYS   1 pending   2 pending info   3 failed
-- answer {now_ms, pending, failed, since when (ms) the oldest entry is pending, or -1}
--
-- The oldest is sought among the 50 due first and the 50 due last: an entry that was tried often is due late. With more
-- than a hundred entries this is an estimate, and never older than the truth.

local SAMPLE = 50

local time = redis.call('TIME')
local sample = redis.call('ZRANGE', KEYS[1], 0, SAMPLE - 1)
for _, key in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, SAMPLE - 1)) do sample[#sample + 1] = key end
local oldest_ms = -1
if #sample > 0 then
  for _, info in ipairs(redis.call('HMGET', KEYS[2], unpack(sample))) do
    local since_ms = info and tonumber(string.match(info, '^%d+|(%d+)|'))
    if since_ms and since_ms > 0 and (oldest_ms < 0 or since_ms < oldest_ms) then oldest_ms = since_ms end
  end
end
return {time[1] * 1000 + math.floor(time[2] / 1000), redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[3]), oldest_ms}
