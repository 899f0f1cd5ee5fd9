#!lua flags=no-writes
-- Read the record of one number.
--
-- KEYS   1 number
-- ARGV   1 policy of sends per number   2 policy of failed checks per number
-- answer {'held', now_ms, ttl (ms), time until the limits allow a new code (ms), failed checks in a row,
--        instants of sends 'ms,ms', instants of failed checks 'ms,ms', listed ids (16 bytes each)} | {'nothing'}

--@include clock.lua
--@include windows.lua

local ttl_ms = redis.call('PTTL', KEYS[1])
if ttl_ms < 0 then return {'nothing'} end
local sends, failed, streak, ids = unpack(redis.call('HMGET', KEYS[1], 'sends', 'failed', 'streak', 'ids'))
local free_ms = math.max(next_free_ms(instants(sends, now_ms), ARGV[1], now_ms), next_free_ms(instants(failed, now_ms), ARGV[2], now_ms))
return {'held', now_ms, ttl_ms, free_ms - now_ms, tonumber(streak or 0), sends or '', failed or '', ids or ''}
