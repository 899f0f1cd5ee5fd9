-- Included by the scripts that answer a verification: its record as `redis_record.read_record` takes it, by place.
--
-- Not as it lies in the hash: the names of the fields would be half of the answer, and finding them again half of the
-- reading. What a record does not have is nil in its place.

local PLACES = {
  'st', 'at', 'n', 'cr', 'rs', 'to', 'tl', 'pu', 'co', 'ln', 'lv', 'lo', 'ch', 'ac', 'rf', 'wo', 'ah', 'ip', 'ow',
}
local PLACES_OF_A_SEND = {'t:', 'd:', 'x:', 'f:', 'k:'}

-- The record as a table by field; empty when there is none.
local function read_record(key)
  local fields, record = redis.call('HGETALL', key), {}
  for i = 1, #fields, 2 do record[fields[i]] = fields[i + 1] end
  return record
end

local function shown(now_ms, record)
  local answer = {now_ms}
  for i, field in ipairs(PLACES) do answer[i + 1] = record[field] or false end
  for send = 1, tonumber(record.n) do
    for _, field in ipairs(PLACES_OF_A_SEND) do answer[#answer + 1] = record[field .. send] or false end
  end
  return answer
end
