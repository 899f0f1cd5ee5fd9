-- Included by the scripts that send and check: the hard stop of one number.
--
-- `streak` counts the failed checks of a number since its last approval, over all its verifications (NIST SP 800-63B-4
-- 3.2.2: at most 100, then no checks until an operator has looked). A stop is forgotten a year after the last try: each try
-- prolongs it, so no stop ends during an attack. Fewer failed checks are forgotten sooner, in proportion: each of them adds
-- a hundredth of that year. An attacker who waits until his n tries are forgotten has waited n hundredths, so in the long
-- run he has 100 guesses a year, however he divides them. The record of a person who mistyped once ends in days.

local STOP_TTL_MS = 365 * 86400 * 1000
-- Only an operator's release ends a stop, so this is when to ask again.
local STOPPED_RETRY_MS = 86400 * 1000

-- Returns whether the number is stopped, and its streak. A try that a stranger can forge does not prolong the stop.
local function is_stopped(number_key, most_in_a_row, is_forgeable)
  local streak = tonumber(redis.call('HGET', number_key, 'streak') or 0)
  if streak < tonumber(most_in_a_row) then return false, streak end
  if not is_forgeable then redis.call('PEXPIRE', number_key, STOP_TTL_MS) end
  return true, streak
end
