#!lua
-- Claim an Idempotency-Key, keep its answer, give it back, or leave it to the next request.
--
-- KEYS   1 idempotency record
-- ARGV   1 'begin' | 'finish' | 'release' | 'withdraw' | 'abandon'   2 fence: a random text that this claim alone has
--        begin: 3 fingerprint of the body   4 verification id   5 lease (ms), longer than any request runs
--        finish: 3 sealed answer
--        abandon: 3 note of a send that was certainly not sent
-- answer begin: {'fresh'} | {'answer', sealed answer} | {'other_body'} | {'running', rest of its lease (ms), is overdue (0/1)}
--               | {'abandoned', verification id, note or ''}: the first request ended without an answer; this one has the lease now
--        else: {'kept' | 'released' | 'gone'}; gone: it is answered, or belongs to another claim, and nothing was changed
-- atomic of any number of equal requests one is fresh; only the newest claim can end what it began.
--
-- Process A is frozen for longer than its lease of 30 s:
--
--   0 s   A begins: fresh, fence a
--   1 s   A stops
--   31 s  B begins: abandoned, fence b, leased until 61 s
--   32 s  A goes on, fails, releases with fence a: gone, because the claim is B's. So no third request begins beside B.
--   33 s  B finishes with fence b: kept
--
-- Redis is away for longer than the lease of A, which failed and has to undo what it wrote:
--
--   0 s   A begins: fresh, leased until 30 s; it writes its verification, and has no answer
--   60 s  Redis is back. B begins: running, overdue until 70 s
--   64 s  A reaches Redis, takes its send back and releases the claim. So B is fresh, and sends
--   70 s  if A is dead, B takes over: abandoned. Whether A sent a message is not known, so B sends none
--
-- A request that has taken a claim over does not know what the first request has sent. So it withdraws the claim instead
-- of releasing it: the lease ends, and the next request takes over at once and looks for the same verification. A fresh
-- claim is deleted by both.
--
-- A request that failed, but cannot take its send back because the shard of its verification is down, abandons its claim.
-- The next one takes it over at once, and takes that send back. The note stays: it names one send, not those of later requests.

--@include clock.lua

local KEEP_SECONDS = 24 * 3600
local OVERDUE_MS = 10 * 1000  -- a process that is alive tries to undo a request more often (core/retrying.py)

local step, fence = ARGV[1], ARGV[2]
local known, answer, until_ms, id, holder, was_taken_over, unsent, overdue =
  unpack(redis.call('HMGET', KEYS[1], 'fp', 'answer', 'until', 'id', 'by', 'over', 'unsent', 'overdue'))

if step ~= 'begin' then
  if holder ~= fence or answer then return {'gone'} end
  if step == 'finish' then
    redis.call('HSET', KEYS[1], 'answer', ARGV[3])
    return {'kept'}
  end
  if step == 'abandon' then
    redis.call('HSET', KEYS[1], 'until', string.format('%d', now_ms), 'overdue', 1, 'unsent', ARGV[3])
  elseif step == 'withdraw' and was_taken_over then
    redis.call('HSET', KEYS[1], 'until', string.format('%d', now_ms), 'overdue', 1)
  else
    redis.call('DEL', KEYS[1])
  end
  return {'released'}
end

local fingerprint, lease_ms = ARGV[3], string.format('%d', now_ms + tonumber(ARGV[5]))
if not known then
  redis.call('HSET', KEYS[1], 'fp', fingerprint, 'id', ARGV[4], 'until', lease_ms, 'by', fence)
  redis.call('EXPIRE', KEYS[1], KEEP_SECONDS)
  return {'fresh'}
end
if known ~= fingerprint then return {'other_body'} end
if answer then return {'answer', answer} end
if tonumber(until_ms) > tonumber(lease_ms) then  -- leased before Redis' clock stepped back: for one lease from now
  until_ms = lease_ms
  redis.call('HSET', KEYS[1], 'until', lease_ms)
end
if tonumber(until_ms) > now_ms then return {'running', tonumber(until_ms) - now_ms, tonumber(overdue or 0)} end
if not overdue then
  redis.call('HSET', KEYS[1], 'until', string.format('%d', now_ms + OVERDUE_MS), 'overdue', 1)
  return {'running', OVERDUE_MS, 1}
end
redis.call('HDEL', KEYS[1], 'overdue')
redis.call('HSET', KEYS[1], 'until', lease_ms, 'by', fence, 'over', 1)
return {'abandoned', id, unsent or ''}
