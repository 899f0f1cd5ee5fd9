#!lua
-- End a pending verification. One that has ended, or whose newest code has expired, stays as it is.
--
-- KEYS   1 verification   2 stats
-- ARGV   1 owner that must match, or ''
-- answer {'read', record as shown.lua shows it} | {'newer_format'} | {'missing'}, also when it belongs to another owner

--@include clock.lua
--@include shown.lua
local funnel_prefix = string.sub(KEYS[1], 1, 8) .. 'funnel:'  -- the keys of its partition
--@include funnel.lua

local record = read_record(KEYS[1])
local state = record[FIELD.status]
if not state or ARGV[1] ~= '' and ARGV[1] ~= record[FIELD.owner] then return {'missing'} end
if tonumber(record[FIELD.format]) > FORMAT_VERSION then return {'newer_format'} end
local newest_ms = tonumber(record[SEND.sent_at_ms .. (record[FIELD.newest] or record[FIELD.sends])])
if state == 'pending' and now_ms < newest_ms + tonumber(record[FIELD.ttl_seconds]) * 1000 and now_ms >= newest_ms - STEP_MS then
  redis.call('HSET', KEYS[1], FIELD.status, 'canceled')
  count(KEYS[2], 'canceled')
  count_changes(KEYS[1], record, {FIELD.status, 'canceled'})
end
return {'read', shown(now_ms, record)}
