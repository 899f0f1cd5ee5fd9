#!lua
-- Reserve one unit of a limit that counts many: by client address, prefix, country, day.
--
-- KEYS   1 limit
-- ARGV   1 policy 'limit:window_ms,…'
-- answer 0 when reserved, else the milliseconds to wait; nothing is counted then
-- atomic all windows are checked before any is counted.
--
-- Each window is cut into 20 slices, field '<window>:<slice>'. Every slice that touches the window counts whole, so no window of
-- any position holds more than the limit; the price is that a slot may be freed up to a twentieth of the window late.

--@include clock.lua

local SLICES = 20

local counts, stale = {}, {}
local record = redis.call('HGETALL', KEYS[1])
for i = 1, #record, 2 do counts[record[i]] = tonumber(record[i + 1]) end

local wait_ms, longest_ms, fields = 0, 0, {}
for limit, window in string.gmatch(ARGV[1], '(%d+):(%d+)') do
  local slice_ms = math.ceil(window / SLICES)
  local newest = math.floor(now_ms / slice_ms)
  local oldest = math.floor((now_ms - window) / slice_ms)
  local sum = 0
  for slice = oldest, newest do sum = sum + (counts[window .. ':' .. string.format('%d', slice)] or 0) end
  local slice = oldest
  while sum >= tonumber(limit) and slice <= newest do
    sum = sum - (counts[window .. ':' .. string.format('%d', slice)] or 0)
    slice = slice + 1
    wait_ms = math.max(wait_ms, slice * slice_ms + window - now_ms)
  end
  for field in pairs(counts) do
    local of_window, number = string.match(field, '^(%d+):(%d+)$')
    if of_window == window and tonumber(number) < oldest then stale[#stale + 1] = field end
  end
  fields[#fields + 1] = window .. ':' .. string.format('%d', newest)
  longest_ms = math.max(longest_ms, tonumber(window) + slice_ms)
end
if wait_ms > 0 then return wait_ms end
if #fields == 0 then return 0 end
if #stale > 0 then redis.call('HDEL', KEYS[1], unpack(stale)) end
for _, field in ipairs(fields) do redis.call('HINCRBY', KEYS[1], field, 1) end
redis.call('PEXPIRE', KEYS[1], longest_ms)
return 0
