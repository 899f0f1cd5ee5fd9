-- Included by the scripts that limit one number: sliding logs, exact in any window.
--
-- A log is a comma-separated list of instants (ms), oldest first; a policy is 'limit:window_ms,limit:window_ms'.
-- The longest window and the largest limit bound the log: each write drops what no window can need.

-- An instant in the future was written before Redis' clock stepped back: it counts as now. Also returns whether there was one.
local function instants(log, at_ms)
  local list, is_ahead = {}, false
  for instant in string.gmatch(log or '', '%d+') do
    list[#list + 1] = math.min(tonumber(instant), at_ms)
    is_ahead = is_ahead or tonumber(instant) > at_ms
  end
  return list, is_ahead
end

local function longest_window_ms(policy)
  local longest = 0
  for window in string.gmatch(policy, ':(%d+)') do longest = math.max(longest, tonumber(window)) end
  return longest
end

-- The first instant from now on at which one more entry keeps to every window of the policy.
local function next_free_ms(list, policy, at_ms)
  local free_ms = at_ms
  for limit, window in string.gmatch(policy, '(%d+):(%d+)') do
    local oldest_that_counts = list[#list - tonumber(limit) + 1]
    if oldest_that_counts then free_ms = math.max(free_ms, oldest_that_counts + tonumber(window)) end
  end
  return free_ms
end

local function append(list, policy, at_ms)
  local horizon_ms, largest = at_ms - longest_window_ms(policy), 1
  for limit in string.gmatch(policy, '(%d+):') do largest = math.max(largest, tonumber(limit)) end
  local kept = {}
  for i = math.max(1, #list - largest + 2), #list do
    if list[i] > horizon_ms then kept[#kept + 1] = string.format('%d', list[i]) end
  end
  kept[#kept + 1] = string.format('%d', at_ms)
  return table.concat(kept, ',')
end

-- The instants of a log. Those in the future are rewritten as now: otherwise each read would move them forward, and the
-- number would be limited for as long as the clock stepped back, not for a window.
local function settled_instants(number_key, field, at_ms)
  local list, is_ahead = instants(redis.call('HGET', number_key, field), at_ms)
  if is_ahead then
    local kept = {}
    for place, instant in ipairs(list) do kept[place] = string.format('%d', instant) end
    redis.call('HSET', number_key, field, table.concat(kept, ','))
  end
  return list
end

-- Asks both limits of a number whether it may get one more send: that of its sends and that of its failed checks.
-- Returns the instants of its sends, and what the script answers if a limit refuses.
local function ask_limits(number_key, send_policy, failure_policy, at_ms)
  local sends = settled_instants(number_key, 'sends', at_ms)
  -- Too many failed checks stop new codes to the number, so guessing gets no further attempts. Verifications that exist keep theirs.
  local failures = settled_instants(number_key, 'failed', at_ms)
  local sends_free_ms = next_free_ms(sends, send_policy, at_ms)
  local free_ms = math.max(sends_free_ms, next_free_ms(failures, failure_policy, at_ms))
  if free_ms <= at_ms then return sends end
  return sends, {'limited', free_ms - at_ms, sends_free_ms == free_ms and 'number' or 'failed_checks'}
end

-- A write may lengthen the TTL of a number's record, never shorten it.
local function keep_for(number_key, ttl_ms)
  if redis.call('PTTL', number_key) < ttl_ms then redis.call('PEXPIRE', number_key, ttl_ms) end
end
