#!lua flags=allow-oom
-- Forget the record of a number, and the verifications that it lists, with their links.
--
-- KEYS   1 number
-- ARGV   1 prefix of the partition's verifications (same slot)
-- answer {record forgotten (0/1), how many verifications were forgotten}
-- atomic a verification that is issued at the same time is forgotten too, or listed by the record that it makes.

--@include index.lua
--@include shown.lua
--@include links.lua

local function hex(byte) return string.format('%02x', string.byte(byte)) end

local ids, forgotten = redis.call('HGET', KEYS[1], 'ids') or '', 0
for place = 1, #ids, ID_BYTES do
  local digits = string.gsub(string.sub(ids, place, place + ID_BYTES - 1), '.', hex)
  local verification_key = ARGV[1] .. digits
  for _, key in ipairs(link_keys(verification_key, read_record(verification_key))) do redis.call('DEL', key) end
  forgotten = forgotten + redis.call('DEL', ARGV[1] .. digits)
end
return {redis.call('DEL', KEYS[1]), forgotten}
