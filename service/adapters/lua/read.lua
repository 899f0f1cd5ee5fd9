#!lua flags=no-writes
-- Read a verification together with the clock that tells whether it has expired.
--
-- KEYS   1 verification
-- ARGV   1 owner that must match, or ''
-- answer {'read', now_ms, field, value, …} | {'missing'}, also somebody else's

local time = redis.call('TIME')
local record = redis.call('HGETALL', KEYS[1])
if #record == 0 then return {'missing'} end
if ARGV[1] ~= '' and ARGV[1] ~= redis.call('HGET', KEYS[1], 'ow') then return {'missing'} end
return {'read', time[1] * 1000 + math.floor(time[2] / 1000), unpack(record)}
