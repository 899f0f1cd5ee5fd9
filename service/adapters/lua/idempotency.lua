#!lua
-- Claim an Idempotency-Key, keep its answer, or give it back.
--
-- KEYS   1 idempotency record
-- ARGV   1 'begin' | 'finish' | 'release'   2 fingerprint of the body   3 begin: verification id, finish: sealed answer
--        4 begin: lease (ms), longer than any request runs
-- answer begin: {'fresh'} | {'answer', sealed answer} | {'other_body'} | {'running'}
--               | {'abandoned', verification id} the first request died unanswered; this one has its lease now
--        finish, release: {'kept' | 'released' | 'gone'}
-- atomic of any number of equal requests one is fresh.

--@include clock.lua

local KEEP_SECONDS = 24 * 3600

local step, fingerprint = ARGV[1], ARGV[2]
local known, answer, until_ms, id = unpack(redis.call('HMGET', KEYS[1], 'fp', 'answer', 'until', 'id'))

if step ~= 'begin' then
  if known ~= fingerprint or answer then return {'gone'} end
  if step == 'release' then
    redis.call('DEL', KEYS[1])
    return {'released'}
  end
  redis.call('HSET', KEYS[1], 'answer', ARGV[3])
  return {'kept'}
end

local lease_ms = string.format('%d', now_ms + tonumber(ARGV[4]))
if not known then
  redis.call('HSET', KEYS[1], 'fp', fingerprint, 'id', ARGV[3], 'until', lease_ms)
  redis.call('EXPIRE', KEYS[1], KEEP_SECONDS)
  return {'fresh'}
end
if known ~= fingerprint then return {'other_body'} end
if answer then return {'answer', answer} end
if tonumber(until_ms) > now_ms then return {'running'} end
redis.call('HSET', KEYS[1], 'until', lease_ms)
return {'abandoned', id}
