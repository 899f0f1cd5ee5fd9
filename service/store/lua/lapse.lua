#!lua
-- Log the sends that did not convert, of verifications whose last code has ended.
--
-- KEYS   1 verifications by the end of their last code
-- ARGV   1 prefix of the partition's verifications (same slot)   2 most verifications
-- answer how many verifications were looked at
-- atomic each is looked at once. A send that the provider refused is in the log already.

--@include clock.lua
--@include shown.lua
local funnel_prefix = string.sub(KEYS[1], 1, 8) .. 'funnel:'  -- the keys of its partition
--@include funnel.lua

local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, ARGV[2])
for _, id in ipairs(due) do
  local key = ARGV[1] .. id
  local record = read_record(key)
  redis.call('ZREM', KEYS[1], id)
  for send = 1, tonumber(record[FIELD.sends] or 0) do
    local is_refused = string.find(place_of(record, send).state, '^3x')
    if not record[SEND.outcome .. send] and not is_refused then log_unconverted(key, record, send) end
  end
end
return #due
