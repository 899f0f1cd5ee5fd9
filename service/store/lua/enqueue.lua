-- Included by check.lua, deliver.lua and replay.lua, after clock.lua: write the entry for one SID.
--
-- HSETNX and ZADD NX make a second entry for a SID impossible; an entry that exists keeps its due time and its tries.
-- The info line is written before the due time, so that no worker can claim an entry without its particulars.
-- info: tries|since (ms)|verification id|send number|country|channel

local function enqueue(outbox_key, info_key, sid, now_ms, id, send, country, channel)
  redis.call('HSETNX', info_key, sid, table.concat({0, now_ms, id, send, country, channel}, '|'))
  redis.call('ZADD', outbox_key, 'NX', now_ms, sid)
  -- Both were born with the first entry. Should one ever live on alone, the next look of a worker renews each by itself.
  if renew(outbox_key, OUTBOX_TTL_SECONDS) then redis.call('EXPIRE', info_key, OUTBOX_TTL_SECONDS) end
end
