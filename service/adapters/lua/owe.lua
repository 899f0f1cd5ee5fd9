-- Included by judge.lua, deliver.lua and replay.lua, after clock.lua: write the debt for one SID.
--
-- HSETNX and ZADD NX make a second debt for a SID impossible; a debt that exists keeps its due time and its tries.
-- The info line is written before the due time, so that no worker can claim a debt without its particulars.
-- info: tries|since (ms)|verification id|send number|country|channel

local function owe(owed_key, info_key, sid, now_ms, id, send, country, channel)
  redis.call('HSETNX', info_key, sid, table.concat({0, now_ms, id, send, country, channel}, '|'))
  redis.call('ZADD', owed_key, 'NX', now_ms, sid)
  -- Both were born with the first debt. Should one ever live on alone, the next look of a worker renews each by itself.
  if renew(owed_key, DEBT_TTL_SECONDS) then redis.call('EXPIRE', info_key, DEBT_TTL_SECONDS) end
end
