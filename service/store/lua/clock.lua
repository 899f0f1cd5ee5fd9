-- Included first: one reading of Redis time for the whole script (two readings in one script may differ), and the counters.

local STATS_TTL_SECONDS = 35 * 86400  -- since the last count: the totals expire only if a partition is not used
local OUTBOX_TTL_SECONDS = 25 * 3600  -- renewed by every write, and by every look of a worker

-- If a code was sent further in the future than this, Redis' clock has stepped back since, and the age of the code is
-- unknown: it has expired. A smaller step back makes a code valid for that much longer.
local STEP_MS = 5000

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- Renew the TTL of a key, at most once a minute: every renewal is one more write for the append-only file and the
-- replicas. Returns whether it was renewed.
local function renew(key, ttl_seconds)
  return redis.call('TTL', key) < ttl_seconds - 60 and redis.call('EXPIRE', key, ttl_seconds) == 1
end

-- Names of counters: <event>:<country>:<channel>, with :<slot> if the time is known that a delivery or an approval took (its
-- slot: see funnel.lua). So the counters of a histogram cost nothing more, and never fall.
local function count(stats_key, field)
  redis.call('HINCRBY', stats_key, field, '1')
  renew(stats_key, STATS_TTL_SECONDS)
end
