#!lua
-- Count a send that was refused before anything was written.
--
-- KEYS   1 verification, which need not exist
-- ARGV   1 send number   2 reason   3… field, value, … of the request and the send
-- answer 1

--@include clock.lua
local funnel_prefix = string.sub(KEYS[1], 1, 8) .. 'funnel:'  -- the keys of its partition
--@include funnel.lua

local record = {}
for i = 3, #ARGV, 2 do record[ARGV[i]] = ARGV[i + 1] end
count_blocked(record, ARGV[1], ARGV[2])
return 1
