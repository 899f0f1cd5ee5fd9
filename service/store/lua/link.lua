#!lua flags=no-writes
-- Read what the token of a link leads to.
--
-- KEYS   1 link
-- ARGV   1 prefix of the partition's verifications (same slot)   2 digest of the token, 16 bytes
-- answer {'linked', verification id, send number, record as shown.lua shows it, what a resend is counted under …}
--        | {'missing'} | {'newer_format'}

--@include clock.lua
--@include shown.lua

local id = redis.call('GET', KEYS[1])
if not id then return {'missing'} end
local record = read_record(ARGV[1] .. id)
local send = record[FIELD.code .. ARGV[2]]
if not send then return {'missing'} end
if tonumber(record[FIELD.format]) > FORMAT_VERSION then return {'newer_format'} end
return {'linked', id, tonumber(send), shown(now_ms, record), SHOWN.counted}
