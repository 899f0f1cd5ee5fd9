#!lua
-- Claim one send whose code was typed and whose SID is unknown, to search for its message at Twilio.
--
-- KEYS   1 lookups
-- ARGV   1 prefix of the partition's records (same slot)   2 ids of our keys, one byte each   3 pause until the next lookup (ms)
--        4 most lookups of one send
-- answer {'look', verification id, send number, sent at (ms), sealed number, claimed until (ms), sealed payment or nil,
--        digest of its code, …}
--        | {'nothing'}
-- atomic one process claims a lookup: the next one is due after the pause, and that instant is the fence of `looked_up.lua`.
--        Sends that need no lookup are removed on the way: their SID is known, they were taken back or erased, or they
--        have had all their lookups.

--@include clock.lua
--@include shown.lua

local MOST_REMOVED_AT_ONCE = 20

for _ = 1, MOST_REMOVED_AT_ONCE do
  local member = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, 1)[1]
  if not member then break end
  local id, send = string.match(member, '^(.+)|(%d+)$')
  local record_key = ARGV[1] .. (id or '')
  local record = read_record(record_key)
  if not id or record[SEND.feedback .. send] ~= 'awaiting_sid' or record[SEND.sid .. send]
    or tonumber(record[SEND.lookups .. send] or 0) >= tonumber(ARGV[4]) then
    redis.call('ZREM', KEYS[1], member)
  else
    local until_ms = string.format('%d', now_ms + tonumber(ARGV[3]))
    redis.call('ZADD', KEYS[1], 'XX', until_ms, member)
    local sealed = record[FIELD.number]
    if string.find(ARGV[2], string.sub(sealed, 1, 1), 1, true) then  -- else only another process has the key of its number
      redis.call('HINCRBY', record_key, SEND.lookups .. send, 1)
      local answer = {'look', id, tonumber(send), tonumber(record[SEND.sent_at_ms .. send]), sealed, tonumber(until_ms),
        record[FIELD.payment] or false}
      for name, value in pairs(record) do
        if string.sub(name, 1, #FIELD.code) == FIELD.code and value == send then
          answer[#answer + 1] = string.sub(name, #FIELD.code + 1)
        end
      end
      return answer
    end
  end
end
return {'nothing'}
