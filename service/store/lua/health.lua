#!lua
-- Write as an issue and a check do, and leave nothing; tell what this user may not run.
--
-- KEYS   1 and more keys of this script alone, one in each partition (in a cluster 1, for each lies in a slot of its own)
-- ARGV   1 the commands to ask about at the first key, with blanks between; hset, pexpire and del among them
--        and so one for each key
-- answer for each key those of them that this user may not run on it, with blanks between
-- atomic nothing is left, or for 10 s where the user may not delete.

local TTL_MS = 10 * 1000

local answer = {}
for i, key in ipairs(KEYS) do
  local names, is_refused = {}, {}
  for name in string.gmatch(ARGV[i], '%S+') do
    -- With as many arguments as the shortest form of any command takes; where Redis lacks it, this raises.
    local is_known, may_run = pcall(redis.acl_check_cmd, name, key, key, key, key)
    if not (is_known and may_run) then names[#names + 1], is_refused[name] = name, true end
  end
  if not is_refused.hset and not is_refused.pexpire then
    redis.call('HSET', key, 'at', '1')
    redis.call('PEXPIRE', key, TTL_MS)
    if not is_refused.del then redis.call('DEL', key) end
  end
  answer[i] = table.concat(names, ' ')
end
return answer
