#!lua
-- Claim due entries of an outbox: take what is due and lease it.
--
-- KEYS   1 pending   2 pending info
-- ARGV   1 lease (ms)   2 most entries; 0 only looks
-- answer {now_ms, next due time after this claim or -1, key, leased until (ms), info line or '', key, …}
-- atomic an entry is leased to one worker at a time.
--
-- Two workers, lease 30 s, the entry is the confirmation of SM1; worker A is killed after its claim:
--
--   0 s   worker A claims SM1: score 0 -> 30 s
--   0 s   worker B claims: SM1 is not due, B gets nothing
--   1 s   A dies, or hangs, between the delivery and its settlement
--   30 s  worker B claims SM1: score 30 s -> 60 s; Twilio receives `confirmed` a second time, which changes nothing there
--   31 s  B settles: SM1 is removed. If A wakes up now, its settlement finds no SM1, and its postponement
--         finds another lease (60 s, not 30 s): both change nothing.

--@include clock.lua

local leased_until_ms = string.format('%d', now_ms + tonumber(ARGV[1]))
local answer = {now_ms, -1}
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, ARGV[2])) do
  redis.call('ZADD', KEYS[1], 'XX', leased_until_ms, key)
  answer[#answer + 1] = key
  answer[#answer + 1] = leased_until_ms
  answer[#answer + 1] = redis.call('HGET', KEYS[2], key) or ''
end
-- Every look keeps the entries alive, even one that takes none: during a halt nothing else does.
renew(KEYS[1], OUTBOX_TTL_SECONDS)
renew(KEYS[2], OUTBOX_TTL_SECONDS)
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if first[2] then answer[2] = tonumber(first[2]) end
return answer
