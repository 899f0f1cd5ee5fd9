-- Included by the scripts that send and check: the hard stop of one number.
--
-- `streak` counts the failed checks of a number since its last approval, over all its verifications (NIST SP 800-63B-4
-- 3.2.2: at most 100, then nothing until somebody has looked). A stop is forgotten a year after the last time anybody tried the
-- number: trying prolongs it, so no stop ends while an attack goes on. Fewer failed checks are forgotten sooner, in proportion:
-- each that is in the row adds a hundredth of that year. Whoever waits until his n are forgotten has waited n hundredths, so
-- in the long run he has 100 guesses a year, however he divides them; the record of a person who mistyped once ends in days.

local STOP_TTL_MS = 365 * 86400 * 1000
-- Only an operator's release ends a stop; by then one may have come.
local STOPPED_RETRY_MS = 86400 * 1000

-- Tells whether the number is stopped, and its streak.
local function is_stopped(number_key, most_in_a_row)
  local streak = tonumber(redis.call('HGET', number_key, 'streak') or 0)
  if streak < tonumber(most_in_a_row) then return false, streak end
  redis.call('PEXPIRE', number_key, STOP_TTL_MS)
  return true, streak
end
