-- Included by the scripts that write an entry of the outbox, after clock.lua.
--
-- HSETNX and ZADD NX make a second entry with the same key impossible; an entry that exists keeps its due time and tries.
-- The info line is written before the due time, so that no worker can claim an entry without its particulars.
--
-- info line    tries|since (ms)|particulars: a text without a line break, which only the handler of this kind reads
-- confirmation its key is the SID, its particulars are verification id|send number|country|channel

local function enqueue(outbox_key, info_key, key, now_ms, particulars)
  local since = string.format('%d', now_ms)
  redis.call('HSETNX', info_key, key, '0|' .. since .. '|' .. particulars)
  redis.call('ZADD', outbox_key, 'NX', since, key)
  -- Both keys begin with their first entry. If one ever outlives the other, the next look of a worker renews it.
  if renew(outbox_key, OUTBOX_TTL_SECONDS) then redis.call('EXPIRE', info_key, OUTBOX_TTL_SECONDS) end
end
