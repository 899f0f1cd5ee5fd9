-- Included by judge.lua, deliver.lua and replay.lua, after clock.lua: write the debt for one SID.
--
-- ZADD NX makes a second debt for a SID impossible; a debt that exists keeps its due time and its tries.
-- The info line is written before the due time, so that no worker can claim a debt without its particulars.
-- info: tries|since (ms)|verification id|send number|country|channel

local function owe(owed_key, info_key, sid, now_ms, id, send, country, channel)
  if redis.call('ZSCORE', owed_key, sid) then return end
  redis.call('HSET', info_key, sid, table.concat({0, now_ms, id, send, country, channel}, '|'))
  redis.call('ZADD', owed_key, 'NX', now_ms, sid)
  redis.call('EXPIRE', info_key, DEBT_TTL_SECONDS)
  redis.call('EXPIRE', owed_key, DEBT_TTL_SECONDS)
end
