-- Included by the scripts that decide what becomes of a send, after clock.lua and `funnel_prefix`: the conversion counters.
--
-- A send is in exactly one state, which follows from the record: what the provider says of it, what the person did, and the
-- status of the verification. Each script tells what it changes in the record; the send then moves from the state that it had
-- to the state that it has. One counter counts such a move, so the states of an hour always add up to its sends.
--
-- A send is counted in the hour in which it was sent, in a hash of its partition. Two days after the end of its UTC day the
-- hours are rolled up, and what moves later is counted in a hash of the day, as differences.
--
--   <labels>|n         sends                  labels: country|channel|sender|purpose|action|number of the send
--   <labels>|<state>><state>  sends that moved from one state to another; every send begins as FRESH
--   <labels>|<state>   sends in this state that were counted under other labels before, or are by now
--   <labels>|t<slot>   sends by how long their delivery took
--   <labels>|b<limit>  refused by us: no sends
--   #                  combinations of labels
--   ^<action>  when the last code of these sends ends (s)
--
-- state: the first two letters of the delivery status (3x: refused), error code.what was typed.first letter of the status, as in
-- `3d.c8.a`. An approval that waits for replicas is counted as one: the secret was typed, and the message converted. Typed:
-- c<slot> approved, after how long; l the right secret, not approved; w wrong ones only; - nothing. Only check.lua changes what
-- was typed, and writes it to the record; as it runs most often, it counts that itself.
-- slot: the least whole number for which 2^(slot/2) seconds are not less than the time.

local HOURS_TTL_SECONDS, DAYS_TTL_SECONDS = 35 * 86400, 400 * 86400
local MOST_COMBINATIONS, OTHER = 2000, 'other|other|other|other|other|'
local MOST_LOGGED, MOST_DUE = 500, 1000

-- A new key gets its TTL, and is listed for the worker.
local function keep_listed(key)
  if redis.call('TTL', key) >= 0 then return end
  local name, open_key = string.sub(key, #funnel_prefix + 1), funnel_prefix .. 'open'
  redis.call('EXPIRE', key, string.sub(name, 1, 1) == 'h' and HOURS_TTL_SECONDS or DAYS_TTL_SECONDS)
  redis.call('SADD', open_key, name)
  redis.call('EXPIRE', open_key, DAYS_TTL_SECONDS)
end

local function add(key, field, by)
  local sum = redis.call('HINCRBY', key, field, by)
  if sum == by then keep_listed(key) end  -- no other field can be the first of a key
  return sum
end

-- Beyond the most combinations of an hour all others are one, but for the number of the send.
local function registered(key, labels)
  if redis.call('HSETNX', key, labels .. '|n', 0) == 0 then return labels end
  if add(key, '#', 1) <= MOST_COMBINATIONS then return labels end
  redis.call('HINCRBY', key, '#', -1)
  redis.call('HDEL', key, labels .. '|n')
  return OTHER .. string.match(labels, '%d+$')
end

local FRESH = '0u.-.p'

-- The hash of a send, its labels and its state.
local function place_of(record, send)
  --@include counted_as.lua
  local status = string.sub(record[FIELD.status] or 'p', 1, 1)
  if status == 'p' and record[FIELD.unreplicated] then status = 'a' end
  return {key = sent_key, labels = labels, state = delivery .. '.' .. typed .. '.' .. status}
end

local function slot_of(ms) return math.max(0, math.ceil(2 * math.log(ms / 1000) / math.log(2))) end

-- Write that a send is counted under other labels than its own.
local function register(verification_key, place, send)
  local labels = registered(place.key, place.labels)
  if labels == place.labels then return end
  place.labels = labels
  redis.call('HSET', verification_key, SEND.other .. send, 1)
end

-- Count a new send in its hour. Until `ends_ms` the sends of the verification that nobody answered are open, then expired.
local function count_send(verification_key, record, send, ends_ms)
  if record[FIELD.is_test] then return end
  local place = place_of(record, send)
  register(verification_key, place, send)
  add(place.key, place.labels .. '|n', 1)
  local ends_field, ends_seconds = '^' .. (record[FIELD.action] or DEFAULT.action), math.ceil(ends_ms / 60000) * 60
  for number = 1, send do
    local key = place_of(record, number).key
    if tonumber(redis.call('HGET', key, ends_field) or 0) < ends_seconds then
      redis.call('HSET', key, ends_field, ends_seconds)
      keep_listed(key)
    end
  end
  -- For the log of what did not convert, which is short: when many are sent, it is a sample.
  local due_key, id = funnel_prefix .. 'due', string.match(verification_key, '[^:]+$')
  if redis.call('ZCARD', due_key) < MOST_DUE or redis.call('ZSCORE', due_key, id) then
    redis.call('ZADD', due_key, string.format('%d', ends_ms), id)
    renew(due_key, HOURS_TTL_SECONDS)
  end
end

local function count_blocked(record, send, limit)
  if record[FIELD.is_test] then return end
  record[SEND.sent_at_ms .. send] = now_ms
  local place = place_of(record, send)
  add(place.key, registered(place.key, place.labels) .. '|b' .. limit, 1)
end

-- Keep a send that did not convert in the log of the newest.
local function log_unconverted(verification_key, record, send)
  if record[FIELD.is_test] then return end
  local key, place = funnel_prefix .. 'unconverted', place_of(record, send)
  local id = string.match(verification_key, '[^:]+$')
  redis.call('LPUSH', key, record[SEND.sent_at_ms .. send] .. '|' .. id .. '|' .. place.labels .. '|' .. place.state)
  redis.call('LTRIM', key, 0, MOST_LOGGED - 1)
  redis.call('EXPIRE', key, HOURS_TTL_SECONDS)
end

-- Whether a message arrives by this: from one delivery status to another, as records hold them.
local function arrives(was, is) return string.find(is, '^[34][dr]') and not string.find(was, '^[34][dr]') end

local function move(verification_key, record, send, from, to)
  if from.labels == to.labels then
    add(to.key, to.labels .. '|' .. from.state .. '>' .. to.state, 1)
  else
    register(verification_key, to, send)
    for labels, by in pairs({[from.labels] = -1, [to.labels] = 1}) do add(to.key, labels .. '|n', by) end
    if from.state ~= FRESH then add(to.key, from.labels .. '|' .. from.state, -1) end
    if to.state ~= FRESH then add(to.key, to.labels .. '|' .. to.state, 1) end
  end
  if arrives(from.state, to.state) then
    add(to.key, to.labels .. '|t' .. slot_of(now_ms - tonumber(record[SEND.sent_at_ms .. send])), 1)
  end
end

-- Apply changes to the record, a list of fields and values, and move each of its sends accordingly.
local function count_changes(verification_key, record, changes)
  local sends, from = tonumber(record[FIELD.sends]), {}
  for send = 1, sends do from[send] = place_of(record, send) end
  for i = 1, #changes, 2 do record[changes[i]] = changes[i + 1] end
  for send = 1, record[FIELD.is_test] and 0 or sends do
    local to = place_of(record, send)
    if from[send].state ~= to.state or from[send].labels ~= to.labels then move(verification_key, record, send, from[send], to) end
  end
end
