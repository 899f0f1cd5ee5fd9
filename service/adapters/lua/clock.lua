-- Included first: one reading of Redis time for the whole script (two readings in one script may differ), and the counters.

local STATS_TTL_SECONDS = 35 * 86400  -- since the last count: totals, which go only when a partition falls silent
local DEBT_TTL_SECONDS = 25 * 3600  -- sliding: renewed by every write and by every look of a worker

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function count(stats_key, field)
  redis.call('HINCRBY', stats_key, field, 1)
  redis.call('EXPIRE', stats_key, STATS_TTL_SECONDS)
end
