-- Included first: one reading of Redis time for the whole script (two readings in one script may differ), and the counters.

local STATS_TTL_SECONDS = 35 * 86400  -- since the last count: totals, which go only when a partition falls silent
local OUTBOX_TTL_SECONDS = 25 * 3600  -- sliding: renewed by every write and by every look of a worker

-- A code that was sent further in the future than this was sent before Redis' clock stepped back, nobody knows how long
-- ago: it has expired. A smaller step lengthens a code's life by no more.
local STEP_MS = 5000

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- Renew a life that slides. Not each time: a life that has just been renewed is left alone for a minute, for every
-- renewal is one more write for the append-only file and the replicas. Tells whether it was renewed.
local function renew(key, ttl_seconds)
  return redis.call('TTL', key) < ttl_seconds - 60 and redis.call('EXPIRE', key, ttl_seconds) == 1
end

local function count(stats_key, field)
  redis.call('HINCRBY', stats_key, field, 1)
  renew(stats_key, STATS_TTL_SECONDS)
end
