#!lua flags=allow-oom
-- Forget a verification, with its links.
--
-- KEYS   1 verification
-- answer 1, or 0 if there was none
-- atomic every script that needs it afterwards finds it missing and writes nothing.

--@include shown.lua
--@include links.lua

for _, key in ipairs(link_keys(KEYS[1], read_record(KEYS[1]))) do redis.call('DEL', key) end
return redis.call('DEL', KEYS[1])
