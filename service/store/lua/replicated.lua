#!lua
-- Write on the connection that then waits for the replicas, and say what may be told once they have it.
--
-- WAIT counts only what its own connection wrote, so every step writes: the marker, if nothing else. It finds by the record
-- itself that this node is the one that has what the caller asks about.
--
-- KEYS   1 verification   2 marker   3 stats
-- ARGV   1 'look' | 'tell' | 'take_back' | 'show'   2 look: how many sends there must be
--        else: 2 token of the Idempotency-Key, or ''   3 a random text that this try alone has
-- answer {'look'} the record is here
--        | {'tell', 'approved', nil} this request, and no other, may be told, once the replicas have it; a repeat with the
--          same token may be told too
--        | {'tell', other verdict, record as shown.lua shows it}
--        | {'take_back', …} nobody was told: the approval waits again
--        | {'show'} the approval may be shown, and is not taken back any more; else {'lost'}
--        | {'lost'} this node does not have what was written: it was replaced, or the record has expired
--        | {'newer_format'}
-- atomic of any number of requests that wait for one approval, one is told, and the repeats of its Idempotency-Key.
--
-- Request A is not told, because the replicas did not have its 'tell' in time:
--
--   A  check.lua     status pending, mark: send 1
--   A  SET marker    the replicas have it, and so the mark, if this is the node that ran check.lua: 'tell' finds out
--   A  tell          status approved, told: a, shown as pending; the replicas do not have this, so A is answered 503
--   A  take_back     status pending, mark: send 1
--   B  check.lua     the same code: approved, at no cost
--   B  SET, tell     status approved, told: b; the replicas have this
--   B  show          the mark is removed: everybody reads `approved`, and B is told
--
-- If the node fails after A's 'tell', the next primary has either the mark, so that B may be told, or a's token. Then only a
-- repeat with A's Idempotency-Key is told of it.

--@include clock.lua
--@include shown.lua

local MARKER_MS = 60 * 1000

local step, token, try = ARGV[1], ARGV[2], ARGV[3]

-- Whether a request of the same key was told, and whether this very try was.
local function who_was_told(told)
  local is_of_key = token ~= '' and string.sub(told, 1, #token + 1) == token .. '|'
  return is_of_key, string.match(told, '^(.*)|%d+$') == token .. '|' .. try
end

if step == 'show' then  -- it follows each approval, so it reads no more than it needs
  local status, mark, told = unpack(redis.call('HMGET', KEYS[1], FIELD.status, FIELD.unreplicated, FIELD.told))
  local by_this_key, by_this_try = who_was_told(told or '')
  if status ~= 'approved' or mark and not by_this_key and not by_this_try then return {'lost'} end
  redis.call('HDEL', KEYS[1], FIELD.unreplicated)
  return {step}
end

local record = read_record(KEYS[1])
local state, marked = record[FIELD.status], record[FIELD.unreplicated]
if not state then return {'lost'} end
if tonumber(record[FIELD.format]) > FORMAT_VERSION then return {'newer_format'} end
local function mark() redis.call('SET', KEYS[2], '', 'PX', MARKER_MS) end
if step == 'look' then
  mark()
  return {tonumber(record[FIELD.sends]) < tonumber(ARGV[2]) and 'lost' or 'look'}
end

local told, verdict, becomes = record[FIELD.told] or '', 'approved', nil
local by_this_key, by_this_try = who_was_told(told)
local tells = token .. '|' .. try .. '|' .. string.format('%d', now_ms)
if step == 'take_back' then
  if not marked or not by_this_try then return {'lost'} end
  becomes = 'pending'
  redis.call('HSET', KEYS[1], FIELD.status, becomes, FIELD.told, '')
elseif state == 'pending' and marked then
  becomes = 'approved'
  redis.call('HSET', KEYS[1], FIELD.status, becomes, FIELD.told, tells)
elseif state == 'pending' then
  return {'lost'}
elseif marked and by_this_key then
  redis.call('HSET', KEYS[1], FIELD.told, tells)  -- so that no earlier try takes it back
else
  mark()
  -- Else this very request was told: by a repeat, or by a process that does not wait.
  if state ~= 'approved' or marked or told ~= '' and not by_this_key then
    verdict = ({approved = 'used', canceled = 'canceled'})[state] or 'locked'
  end
end
if becomes then
  local funnel_prefix = string.sub(KEYS[1], 1, 8) .. 'funnel:'  -- the keys of its partition
  --@include funnel.lua
  count_changes(KEYS[1], record, {FIELD.status, becomes})  -- in the copy of the record too
  -- Once, also if it was taken back in between: a counter that falls looks like one that was reset.
  if not record[FIELD.told] then
    local slot = record[FIELD.is_test] and '' or ':' .. string.sub(record[SEND.outcome .. marked], 2)
    count(KEYS[3], 'approved:' .. record[FIELD.country] .. ':' .. (record[SEND.channel .. marked] or DEFAULT.channel) .. slot)
  end
end
return {step, verdict, verdict ~= 'approved' and shown(now_ms, record)}
