-- Included by the scripts that answer with a verification. `Records.read` reads the answer by place.
--
-- The names of the fields would be half of the answer, and finding them again half of the reading. What a record does not
-- have is nil in its place. `store/fields.py` lists the fields and fills in FIELD, SEND and SHOWN.

-- The record as a table by field; empty when there is none.
local function read_record(key)
  local fields, record = redis.call('HGETALL', key), {}
  for i = 1, #fields, 2 do record[fields[i]] = fields[i + 1] end
  return record
end

-- How long at most a request waits to be told of an approval, and tries to take it back (`store/replication.py`).
local TELLING_MS = 120 * 1000

local function shown(now_ms, record)
  local status = record[FIELD.status]
  if record[FIELD.unreplicated] and status == 'approved' then
    local told_ms = tonumber(string.match(record[FIELD.told] or '', '|(%d+)$'))
    if told_ms and now_ms < told_ms + TELLING_MS then status = 'pending' end
  end
  local answer = {
    now_ms, status, tonumber(record[FIELD.sends]), tonumber(record[FIELD.newest]) or false, record[FIELD.number],
    SHOWN.state,
    SHOWN.request,
  }
  for send = 1, tonumber(record[FIELD.sends]) do
    local place = #answer
    SHOWN.send_places =
      SHOWN.send
  end
  return answer
end
