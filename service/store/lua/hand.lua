#!lua
-- Note that a send was handed to the provider and got no clear answer: it may have gone out, so it supersedes earlier codes.
--
-- KEYS   1 verification
-- ARGV   1 send number
-- answer {'noted'}, also when the record or the send is gone, or the provider has reported on it since | {'newer_format'}

local sent_ms, format = unpack(redis.call('HMGET', KEYS[1], SEND.sent_at_ms .. ARGV[1], FIELD.format))
if format and tonumber(format) > FORMAT_VERSION then return {'newer_format'} end
if sent_ms then redis.call('HSETNX', KEYS[1], SEND.status .. ARGV[1], '0unknown') end
return {'noted'}
