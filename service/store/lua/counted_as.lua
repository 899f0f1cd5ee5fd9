-- Included by the scripts that count a send, in a block that has `record`, `send` and `funnel_prefix`; it defines no function.
--
-- Sets `sent_key`, the hash of its counters, `labels`, and `delivery` and `typed`, of which its state consists: see funnel.lua.

local sent_at_ms = tonumber(record[SEND.sent_at_ms .. send])
local sent_day = math.floor(sent_at_ms / 86400000)
local is_young = now_ms < (sent_day + 3) * 86400000
local sent_key = funnel_prefix .. string.format(is_young and 'h%d' or 'd%d', is_young and math.floor(sent_at_ms / 3600000) or sent_day)
local labels = 'other|other|other|other|other|' .. send
if not record[SEND.other .. send] then
  labels = record[FIELD.country] .. '|' .. (record[SEND.channel .. send] or DEFAULT.channel) .. '|' .. (record[SEND.sender .. send] or '')
    .. '|' .. (record[FIELD.purpose] or DEFAULT.purpose) .. '|' .. (record[FIELD.action] or DEFAULT.action) .. '|' .. send
end
local delivery = string.sub(record[SEND.status .. send] or '0u', 1, 2)
if delivery == '3f' and not record[SEND.sid .. send] then delivery = '3x' end
delivery = delivery .. (record[SEND.error_code .. send] or '')
local typed = record[SEND.outcome .. send] or tonumber(record[FIELD.wrong_after] or 0) >= tonumber(send) and 'w' or '-'
