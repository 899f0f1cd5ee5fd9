#!lua flags=no-writes
-- Read a verification together with the clock that tells whether it has expired.
--
-- KEYS   1 verification
-- ARGV   1 owner that must match, or ''
-- answer {'read', record as shown.lua shows it, tag of the person's address or nil, tag of the API key that issued it or nil}
--        | {'missing'}, also somebody else's

--@include shown.lua

local time = redis.call('TIME')
local record = read_record(KEYS[1])
if not record.st or ARGV[1] ~= '' and ARGV[1] ~= record.ow then return {'missing'} end
return {'read', shown(time[1] * 1000 + math.floor(time[2] / 1000), record), record.ip or false, record.ky or false}
