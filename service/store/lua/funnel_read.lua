#!lua flags=no-writes
-- Read all counters of a partition that are not merged yet.
--
-- KEYS   1 which counters there are
-- ARGV   1 prefix of the counters (same slot)
-- answer {how often counters were taken, {name, {field, value, …}, {the same of what was taken}}, …}

local answer = {tonumber(redis.call('GET', ARGV[1] .. 'takes') or 0)}
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local key = ARGV[1] .. name
  answer[#answer + 1] = {name, redis.call('HGETALL', key), redis.call('HGETALL', key .. ':taken')}
end
return answer
