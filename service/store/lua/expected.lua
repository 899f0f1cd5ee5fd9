#!lua flags=no-writes
-- List the verifications of a number that a person may answer by a message of its own.
--
-- KEYS   1 number
-- ARGV   1 prefix of the partition's verifications (same slot)   2 action   3 most attempts
--        4 field of the answer in each record that has had it
-- answer {'expected', {id without its prefix, language, tag of the API key, owner, digest of a secret, …}, …} oldest first | {'newer_format'}
--        If some of the verifications have had this answer, they alone are listed: check.lua repeats their verdicts.
--        Otherwise those whose attempts are used up are left out: nothing is compared with them.

--@include index.lua
--@include shown.lua

local function hex(byte) return string.format('%02x', string.byte(byte)) end

local ids, answer, repeated = redis.call('HGET', KEYS[1], 'ids') or '', {'expected'}, {'expected'}
for place = 1, #ids, ID_BYTES do
  local digits = string.gsub(string.sub(ids, place, place + ID_BYTES - 1), '.', hex)
  local record = read_record(ARGV[1] .. digits)
  if record[FIELD.action] == ARGV[2] then
    if tonumber(record[FIELD.format]) > FORMAT_VERSION then return {'newer_format'} end
    local is_repeated = record[ARGV[4]] ~= nil
    if is_repeated or tonumber(record[FIELD.attempts]) < tonumber(ARGV[3]) then
      local listed = {digits, record[FIELD.locale] or DEFAULT.locale, record[FIELD.key_tag] or '', record[FIELD.owner] or ''}
      for name in pairs(record) do
        if string.sub(name, 1, #FIELD.code) == FIELD.code then listed[#listed + 1] = string.sub(name, #FIELD.code + 1) end
      end
      if is_repeated then repeated[#repeated + 1] = listed else answer[#answer + 1] = listed end
    end
  end
end
return #repeated > 1 and repeated or answer
