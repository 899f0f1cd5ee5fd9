-- Included by the scripts that say when the next channel of a list follows, after clock.lua.
--
-- The field `further` holds what is left of a list, with waits in seconds: 'wait|channel:wait,channel:wait'. The first is the
-- wait for news of the newest send; each channel has its own, also if a resend asked for it. Nothing follows when no channel is left.
-- A sorted set holds the ids of verifications by when their next channel is due. What ends a verification leaves its id there,
-- so that a check costs nothing more: fall_back.lua removes it.

local function fallbacks_key(verification_key) return (string.gsub(verification_key, ':v:.*', ':fallbacks')) end

local function id_of(verification_key) return string.match(verification_key, '[^:]+$') end

-- The set lives at least as long as each record that it names.
local function follow_in(verification_key, delay_ms)
  local key = fallbacks_key(verification_key)
  redis.call('ZADD', key, string.format('%d', now_ms + delay_ms), id_of(verification_key))
  local rest_ms = redis.call('PTTL', verification_key)
  if redis.call('PTTL', key) < rest_ms then redis.call('PEXPIRE', key, rest_ms) end
end

local function follow_never(verification_key) redis.call('ZREM', fallbacks_key(verification_key), id_of(verification_key)) end

-- Whether a channel is left.
local function is_any_left(further) return further and string.sub(further, -1) ~= '|' end
