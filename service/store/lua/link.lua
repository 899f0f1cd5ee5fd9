#!lua flags=no-writes
-- Read what the token of a link leads to.
--
-- KEYS   1 link
-- ARGV   1 prefix of the partition's verifications (same slot)   2 digest of the token, 16 bytes
--        3 '1': only the newest secret counts
-- answer {'linked', verification id, send number, whether the link can approve (0/1), record as shown.lua shows it,
--         what a resend is counted under …}
--        | {'missing'} | {'newer_format'}

--@include clock.lua
--@include shown.lua

local id = redis.call('GET', KEYS[1])
if not id then return {'missing'} end
local record = read_record(ARGV[1] .. id)
local send = record[FIELD.code .. ARGV[2]]
if not record[FIELD.status] or not send then return {'missing'} end
if tonumber(record[FIELD.format]) > FORMAT_VERSION then return {'newer_format'} end
local sent_ms, counts = tonumber(record[SEND.sent_at_ms .. send]), 0
if record[FIELD.status] == 'pending' and now_ms >= sent_ms - STEP_MS
  and now_ms < sent_ms + tonumber(record[FIELD.ttl_seconds]) * 1000 then
  counts = 1
  -- As in check.lua: only a send that was handed to the provider supersedes.
  for later = tonumber(send) + 1, ARGV[3] == '1' and tonumber(record[FIELD.sends]) or 0 do
    if record[SEND.sid .. later] or record[SEND.status .. later] == '0unknown' then counts = 0 end
  end
end
return {'linked', id, tonumber(send), counts, shown(now_ms, record), SHOWN.counted}
