-- Included by the scripts that write or read the index of a number: which verifications are its newest, oldest first.
--
-- The record of the number holds it in `ids`: the 32 hex digits of each id, as 16 bytes. The record lives at least as long as
-- every verification that it lists. One that has expired stays listed until newer ones take its place.

local ID_BYTES, MOST_IDS = 16, 10

-- The last 32 characters of a verification's key, as they are listed.
local function packed_id(verification_key)
  local function byte(digits) return string.char(tonumber(digits, 16)) end
  return (string.gsub(string.sub(verification_key, -2 * ID_BYTES), '%x%x', byte))
end
