#!lua
-- Write as an issue and a check do, and delete it again; return what the Redis user may not run.
--
-- KEYS   1 and more: keys that only this script uses, one per partition (in a cluster only 1: each is in a slot of its own)
-- ARGV   1 the commands to ask about at a key, separated by blanks; hset, pexpire and del must be among them
--        and so on: one for each key
-- answer for each key the commands that the user may not run on it, separated by blanks; '?' before those that Redis lacks
-- atomic nothing is left; if the user may not delete, it is left for 10 s.

local TTL_MS = 10 * 1000

local answer = {}
for i, key in ipairs(KEYS) do
  local names, is_refused = {}, {}
  for name in string.gmatch(ARGV[i], '%S+') do
    -- With as many arguments as the shortest form of any command takes. A command that Redis does not know raises.
    local is_known, may_run = pcall(redis.acl_check_cmd, name, key, key, key, key)
    if not (is_known and may_run) then names[#names + 1], is_refused[name] = (is_known and '' or '?') .. name, true end
  end
  if not is_refused.hset and not is_refused.pexpire then
    redis.call('HSET', key, 'at', '1')
    redis.call('PEXPIRE', key, TTL_MS)
    if not is_refused.del then redis.call('DEL', key) end
  end
  answer[i] = table.concat(names, ' ')
end
return answer
