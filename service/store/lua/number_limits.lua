-- Included by the scripts that send, after windows.lua and streak.lua: whether a number may get one more send now.

-- Returns the instants of its sends, and what the script answers if the hard stop or a limit refuses.
local function ask_number(number_key, send_policy, failure_policy, most_in_a_row)
  local stopped = is_stopped(number_key, most_in_a_row)
  if stopped then return nil, {'limited', STOPPED_RETRY_MS, 'failed_checks'} end
  return ask_limits(number_key, send_policy, failure_policy, now_ms)
end
