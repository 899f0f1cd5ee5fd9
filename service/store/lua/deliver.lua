#!lua
-- Record what the provider says of one send: its status, and its SID, which a callback brings when the answer was lost.
--
-- KEYS   1 verification   2 outbox   3 outbox info   4 stats
-- ARGV   1 verification id   2 send number   3 SID   4 rank and status, such as '3delivered'   5 error code, or ''   6 sender, or ''
--        7 '1': if it failed, the next channel of a list may follow
-- answer {'recorded', enqueued (0/1)} | {'missing'} | {'newer_format'} | {'stranger'} the send is unknown or has another SID
-- atomic the step that brings the SID also makes a waiting confirmation pending, and the one that says that the newest send
--        has failed makes the next channel due. Ranks never go back; repeats change nothing.
-- An expired record is not brought back: every write follows the look at the number of sends.

--@include clock.lua
--@include enqueue.lua
--@include shown.lua
local funnel_prefix = string.sub(KEYS[1], 1, 8) .. 'funnel:'  -- the keys of its partition
--@include funnel.lua

local id, send, sid, status, error_code, sender = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local record = read_record(KEYS[1])
local sends, known_sid, known_status = record[FIELD.sends], record[SEND.sid .. send], record[SEND.status .. send]
if not sends then return {'missing'} end
if tonumber(record[FIELD.format]) > FORMAT_VERSION then return {'newer_format'} end
if tonumber(send) < 1 or tonumber(send) > tonumber(sends) or (known_sid and known_sid ~= sid) then return {'stranger'} end
local country, channel = record[FIELD.country], record[SEND.channel .. send] or DEFAULT.channel
local state, further = record[FIELD.status], record[FIELD.further]

local changes, enqueued = {}, 0
if not known_sid then
  if record[SEND.feedback .. send] == 'awaiting_sid' then
    enqueue(KEYS[2], KEYS[3], sid, now_ms, table.concat({id, send, country, channel}, '|'))
    enqueued = 1
    changes = {SEND.feedback .. send, 'pending'}
    redis.pcall('ZREM', KEYS[2] .. ':awaiting_sid', id .. '|' .. send)  -- by pcall: see check.lua
    redis.pcall('ZREM', KEYS[2] .. ':lookups', id .. '|' .. send)
  end
  changes[#changes + 1] = SEND.sid .. send
  changes[#changes + 1] = sid
  count(KEYS[4], 'accepted:' .. country .. ':' .. channel)
end
local rank, known_rank = tonumber(string.sub(status, 1, 1)), tonumber(string.sub(known_status or '0', 1, 1))
-- With a Messaging Service the first callbacks may name no sender, or one that passed the message on (RCS, then SMS).
if sender ~= '' and (rank > known_rank or not record[SEND.sender .. send]) then
  changes[#changes + 1] = SEND.sender .. send
  changes[#changes + 1] = sender
end
if rank > known_rank then
  changes[#changes + 1] = SEND.status .. send
  changes[#changes + 1] = status
  local arrived_in = ''
  if arrives(known_status or '', status) then
    arrived_in = ':' .. slot_of(now_ms - tonumber(record[SEND.sent_at_ms .. send]))
  end
  count(KEYS[4], string.sub(status, 2) .. ':' .. country .. ':' .. channel .. arrived_in)
  -- A pool with an RCS sender turns texts into RCS, and back into SMS for phones without it: only the end says which.
  if rank >= 3 and known_rank < 3 and string.sub(sender, 1, 4) == 'rcs:' then
    count(KEYS[4], 'rcs:' .. country .. ':' .. channel)
  end
end
-- The response to the send may say that the message failed, and only the callback why.
if error_code ~= '' and (rank > known_rank or status == known_status and not record[SEND.error_code .. send]) then
  changes[#changes + 1] = SEND.error_code .. send
  changes[#changes + 1] = error_code
end
if #changes > 0 then
  redis.call('HSET', KEYS[1], unpack(changes))
  count_changes(KEYS[1], record, changes)
end
local END_RANK = 3  -- nothing but `read` follows, which can follow only `delivered`
if further and state == 'pending' and send == sends and rank > known_rank and rank >= END_RANK then
  --@include further.lua
  if rank == END_RANK and status ~= '3delivered' and ARGV[7] == '1' and is_any_left(further) then
    follow_in(KEYS[1], 0)
  else
    follow_never(KEYS[1])
  end
end
return {'recorded', enqueued}
