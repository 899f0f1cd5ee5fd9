#!lua
-- Note that a send was handed to the provider and got no clear answer: it may have gone out, so it supersedes earlier codes.
--
-- KEYS   1 verification
-- ARGV   1 send number
-- answer {'noted'} | {'newer_format'}
--        | {'nothing'} the record or the send is gone, or the provider has reported on it since

local sent_ms, format = unpack(redis.call('HMGET', KEYS[1], SEND.sent_at_ms .. ARGV[1], FIELD.format))
if not sent_ms then return {'nothing'} end
if tonumber(format) > FORMAT_VERSION then return {'newer_format'} end
local is_new = redis.call('HSETNX', KEYS[1], SEND.status .. ARGV[1], '0unknown') == 1
return {is_new and 'noted' or 'nothing'}
