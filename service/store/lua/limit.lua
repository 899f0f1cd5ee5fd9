#!lua
-- Reserve an amount of each shared limit (client address, prefix, country, day, budget …), or give it back.
--
-- KEYS   1 and more: limits, independent of each other (in a cluster only 1: each is in a slot of its own)
-- ARGV   1 policy of a limit, 'limit:window_ms,…'   2 '' to reserve, or the instant (ms) of the reservation to give back
--        3 amount: 1 for what is counted; of a budget, millionths of its currency. And so on: three for each limit
-- answer for each {wait (ms), now_ms}: wait 0 means reserved at now_ms, else nothing is counted; nil if it cannot be read
-- atomic all windows of a limit are checked before any is counted.
--
-- Each window is cut into 20 slices, field '<window>:<slice>'. Every slice that overlaps the window counts whole, so no window at
-- any position holds more than the limit; in return a unit may become free up to a twentieth of the window late.
-- Amounts are whole numbers below 2^53, which Lua's numbers hold exactly.
-- A unit in the future was counted before Redis' clock stepped back. It counts as now, so it limits for one window at most.

--@include clock.lua

local SLICES = 20

local function slice_field(window, at_ms)
  return window .. ':' .. string.format('%d', math.floor(at_ms / math.ceil(window / SLICES)))
end

local function give_back(key, policy, amount, reserved_at_ms)
  for window in string.gmatch(policy, ':(%d+)') do
    local field = slice_field(window, math.min(reserved_at_ms, now_ms))
    -- Not down to 0: Redis deletes a hash with its last field, and a limit that counts nothing must use no memory.
    if tonumber(redis.call('HGET', key, field) or 0) > amount then
      redis.call('HINCRBY', key, field, string.format('%d', -amount))
    else
      redis.call('HDEL', key, field)
    end
  end
  return {0, now_ms}
end

local function reserve(key, policy, amount)
  local record = redis.call('HGETALL', key)
  local windows = {}  -- by window: what is counted in each of its slices
  for i = 1, #record, 2 do
    local window, slice = string.match(record[i], '^(%d+):(%d+)$')
    windows[window] = windows[window] or {}
    windows[window][tonumber(slice)] = tonumber(record[i + 1])
  end

  local wait_ms, longest_ms, fields, stale = 0, 0, {}, {}
  for limit, window in string.gmatch(policy, '(%d+):(%d+)') do
    local slice_ms = math.ceil(window / SLICES)
    local newest = math.floor(now_ms / slice_ms)
    local oldest = math.floor((now_ms - window) / slice_ms)
    local counts, sum, ahead, ahead_fields = windows[window] or {}, 0, 0, {}
    for slice, count in pairs(counts) do
      if slice < oldest then
        stale[#stale + 1] = window .. ':' .. string.format('%d', slice)
      elseif slice <= newest then
        sum = sum + count
      else
        ahead = ahead + count
        ahead_fields[#ahead_fields + 1] = window .. ':' .. string.format('%d', slice)
      end
    end
    if ahead > 0 then
      redis.call('HINCRBY', key, slice_field(window, now_ms), string.format('%d', ahead))
      redis.call('HDEL', key, unpack(ahead_fields))
      counts[newest], sum = (counts[newest] or 0) + ahead, sum + ahead
    end
    local slice = oldest
    while sum + amount > tonumber(limit) and slice <= newest do
      sum = sum - (counts[slice] or 0)
      slice = slice + 1
      wait_ms = math.max(wait_ms, slice * slice_ms + window - now_ms)
    end
    fields[#fields + 1] = slice_field(window, now_ms)
    longest_ms = math.max(longest_ms, tonumber(window) + slice_ms)
  end
  if wait_ms > 0 then return {wait_ms, now_ms} end
  if #stale > 0 then redis.call('HDEL', key, unpack(stale)) end
  for _, field in ipairs(fields) do redis.call('HINCRBY', key, field, string.format('%d', amount)) end
  redis.call('PEXPIRE', key, longest_ms)
  return {0, now_ms}
end

local answers = {}
for place, key in ipairs(KEYS) do
  local policy, reserved_at_ms, amount = ARGV[3 * place - 2], tonumber(ARGV[3 * place - 1]), tonumber(ARGV[3 * place])
  -- By pcall: an error that ended the script would leave the limits before this one counted, without an answer.
  local is_done, answer = pcall(reserved_at_ms and give_back or reserve, key, policy, amount, reserved_at_ms)
  answers[place] = is_done and answer
end
return answers
