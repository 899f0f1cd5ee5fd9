-- Included by the scripts that answer a verification: its record as `redis_record.read_record` takes it, by place.
--
-- Not as it lies in the hash: the names of the fields would be half of the answer, and finding them again half of the
-- reading. Numbers are numbers, and what a record does not have is nil in its place.

-- The record as a table by field; empty when there is none.
local function read_record(key)
  local fields, record = redis.call('HGETALL', key), {}
  for i = 1, #fields, 2 do record[fields[i]] = fields[i + 1] end
  return record
end

local function shown(now_ms, r)
  local answer = {
    now_ms, r.st, tonumber(r.at), tonumber(r.n), tonumber(r.cr), tonumber(r.rs), r.to, tonumber(r.tl), r.pu, r.co,
    tonumber(r.ln), tonumber(r.lv) or false, r.lo or false, r.ch or false, r.ac or false, r.rf or false, r.wo or false,
    r.ah or false, r.ow or false,
  }
  for send = 1, tonumber(r.n) do
    local place = #answer
    answer[place + 1], answer[place + 2] = tonumber(r['t:' .. send]), r['d:' .. send] or false
    answer[place + 3], answer[place + 4] = tonumber(r['x:' .. send]) or false, r['f:' .. send] or false
    answer[place + 5] = r['k:' .. send] or false
  end
  return answer
end
