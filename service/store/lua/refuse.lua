#!lua
-- Take back a send that certainly was not sent.
--
-- KEYS   1 verification   2 number   3 stats
-- ARGV   1 send number, or '' for the send that carries a code   2 error code of the provider, or ''
--        3 rank and status of a failed message   4 '1': the fault passes (busy, unreachable, our own), so a resend leaves no trace
--        5 '1': the next channel of a list may follow
--        6 '' or, if the send was the next one of a list, that list as it was claimed   7 when a passing one is due again (ms)
--        only for a send that is found by its code: 8 digest of the code   9 how many sends there were before it
-- answer {'refused', record as shown.lua shows it, is followed (0/1)} | {'missing'} | {'newer_format'}
-- atomic its code can never be accepted, and its link leads nowhere. The number's limit gets the send back. When no other send
--        can still be used and no channel follows, the verification fails; otherwise `newest` says which of those is the newest,
--        and its expiry counts.

--@include clock.lua
--@include shown.lua
--@include index.lua
--@include links.lua
local funnel_prefix = string.sub(KEYS[1], 1, 8) .. 'funnel:'  -- the keys of its partition
--@include funnel.lua
--@include further.lua

local FAILED_MS = 60 * 1000

local record = read_record(KEYS[1])
local state, sends = record[FIELD.status], record[FIELD.sends]
local send, passing = ARGV[1], ARGV[4] == '1'
if not state then return {'missing'} end
if tonumber(record[FIELD.format]) > FORMAT_VERSION then return {'newer_format'} end
if send == '' then
  send = record[FIELD.code .. ARGV[8]]
  if not send or tonumber(send) <= tonumber(ARGV[9]) then return {'missing'} end
end
local sent_ms = record[SEND.sent_at_ms .. send]
if not sent_ms then return {'missing'} end

local is_newest = state == 'pending' and send == sends
local is_followed = is_newest and ARGV[5] == '1' and is_any_left(record[FIELD.further])
local is_tried_again = is_newest and passing and ARGV[6] ~= ''
if is_followed then passing = false end  -- the caller sees that it failed, and what follows

local newest_other = 0
for name, carried_by in pairs(record) do
  if string.sub(name, 1, #FIELD.code) == FIELD.code then
    if carried_by == send then
      redis.call('HDEL', KEYS[1], name)
      for _, key in ipairs(link_keys(KEYS[1], {[FIELD.action] = record[FIELD.action], [name] = send})) do redis.call('DEL', key) end
    else
      newest_other = math.max(newest_other, tonumber(carried_by))
    end
  end
end

local fails = state == 'pending' and newest_other == 0 and not is_followed and not is_tried_again

-- Nothing was sent, so a repeat of the request that asked for it may send, unless the next channel follows.
if not is_followed then redis.call('HDEL', KEYS[1], SEND.idempotency_tag .. send) end
if passing and send == sends and (newest_other > 0 or is_tried_again) then
  redis.call('HDEL', KEYS[1], SEND.sent_at_ms .. send, SEND.status .. send, SEND.error_code .. send, SEND.channel .. send,
    SEND.feedback .. send, SEND.other .. send)
  redis.call('HSET', KEYS[1], FIELD.sends, tonumber(sends) - 1)
  -- What was typed meanwhile says nothing of the next send, which has the same number.
  if record[FIELD.wrong_after] == send then redis.call('HSET', KEYS[1], FIELD.wrong_after, tonumber(sends) - 1) end
else
  redis.call('HSET', KEYS[1], SEND.status .. send, ARGV[3])
  if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], SEND.error_code .. send, ARGV[2]) end
end
if newest_other > 0 then
  redis.call('HSET', KEYS[1], FIELD.newest, newest_other)
elseif fails then
  redis.call('HSET', KEYS[1], FIELD.status, 'failed')
  -- While the provider is busy, a flood of such records would fill Redis. The caller has its answer, and may read it for a minute.
  if passing then
    redis.call('PEXPIRE', KEYS[1], FAILED_MS, 'LT')
    local ids, listed = redis.call('HGET', KEYS[2], 'ids') or '', {}
    for place = 1, #ids, ID_BYTES do
      local id = string.sub(ids, place, place + ID_BYTES - 1)
      if id ~= packed_id(KEYS[1]) then listed[#listed + 1] = id end
    end
    if #listed > 0 then redis.call('HSET', KEYS[2], 'ids', table.concat(listed)) else redis.call('HDEL', KEYS[2], 'ids') end
  end
end

if is_followed then
  follow_in(KEYS[1], 0)
elseif is_tried_again then
  redis.call('HSET', KEYS[1], FIELD.further, ARGV[6])
  follow_in(KEYS[1], tonumber(ARGV[7]))
elseif is_newest and not passing then
  follow_never(KEYS[1])
end

redis.call('HSET', KEYS[1], FIELD.resend_at_ms, string.format('%d', now_ms))
local log = redis.call('HGET', KEYS[2], 'sends')
if log then
  local kept, dropped = {}, false
  for instant in string.gmatch(log, '%d+') do
    -- Two sends may share a millisecond: only one is taken back.
    if instant == sent_ms and not dropped then dropped = true else kept[#kept + 1] = instant end
  end
  -- A number that nothing was sent to, and of which nothing else is remembered, leaves no record.
  if #kept > 0 then
    redis.call('HSET', KEYS[2], 'sends', table.concat(kept, ','))
  else
    redis.call('HDEL', KEYS[2], 'sends')
  end
end
local changes = {SEND.status .. send, ARGV[3]}
if ARGV[2] ~= '' then changes[3], changes[4] = SEND.error_code .. send, ARGV[2] end
if fails then changes[#changes + 1], changes[#changes + 2] = FIELD.status, 'failed' end
count_changes(KEYS[1], record, changes)
log_unconverted(KEYS[1], record, send)
count(KEYS[3], 'refused:' .. record[FIELD.country] .. ':' .. (record[SEND.channel .. send] or DEFAULT.channel))
return {'refused', shown(now_ms, read_record(KEYS[1])), is_followed and 1 or 0}
