#!lua flags=no-writes
-- Read a verification, and the clock that tells whether it has expired.
--
-- KEYS   1 verification
-- ARGV   1 owner that must match, or ''
-- answer {'read', record as shown.lua shows it, what only sending needs …} | {'newer_format'}
--        | {'missing'}, also when it belongs to another owner

--@include shown.lua

local time = redis.call('TIME')
local record = read_record(KEYS[1])
if not record[FIELD.status] or ARGV[1] ~= '' and ARGV[1] ~= record[FIELD.owner] then return {'missing'} end
if tonumber(record[FIELD.format]) > FORMAT_VERSION then return {'newer_format'} end
return {'read', shown(time[1] * 1000 + math.floor(time[2] / 1000), record), SHOWN.counted}
