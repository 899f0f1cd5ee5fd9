#!lua
-- Claim one verification whose next channel is due.
--
-- KEYS   1 fallbacks
-- ARGV   1 prefix of the partition's records (same slot)   2 ids of our keys, one byte each   3 lease (ms)   4 most sends
-- answer {'due', verification id, claimed until (ms), what is left of its list, record as shown.lua shows it,
--        what a resend is counted under …} | {'nothing'}
-- atomic one process claims a verification: it is due again when the lease ends, and that instant is the fence of `resend.lua`,
--        which writes the send. Until then nothing is written, so a process that dies before loses nothing; afterwards the
--        channel is no longer in the list, so its message is never sent twice.
--        Verifications that need no channel any more are removed on the way.

--@include clock.lua
--@include shown.lua
--@include further.lua

local MOST_REMOVED_AT_ONCE = 20

for _ = 1, MOST_REMOVED_AT_ONCE do
  local id = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, 1)[1]
  if not id then break end
  local record = read_record(ARGV[1] .. id)
  local sends = tonumber(record[FIELD.sends])
  local sent_ms = sends and tonumber(record[SEND.sent_at_ms .. (record[FIELD.newest] or sends)])
  -- An approval that waits for replicas is one.
  if record[FIELD.status] ~= 'pending' or record[FIELD.unreplicated] or not is_any_left(record[FIELD.further])
    or sends >= tonumber(ARGV[4]) or now_ms >= sent_ms + tonumber(record[FIELD.ttl_seconds]) * 1000 or now_ms < sent_ms - STEP_MS then
    redis.call('ZREM', KEYS[1], id)
  else
    local until_ms = string.format('%d', now_ms + tonumber(ARGV[3]))
    redis.call('ZADD', KEYS[1], 'XX', until_ms, id)
    -- Else only another process can read it.
    local is_ours = string.find(ARGV[2], string.sub(record[FIELD.number], 1, 1), 1, true)
    if is_ours and tonumber(record[FIELD.format]) <= FORMAT_VERSION then
      return {'due', id, tonumber(until_ms), record[FIELD.further], shown(now_ms, record), SHOWN.counted}
    end
  end
end
return {'nothing'}
