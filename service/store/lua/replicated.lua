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
--        | {'tell', 'approved'} this request, and no other, may be told, once the replicas have it; a repeat with the
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

local function mark() redis.call('SET', KEYS[2], '', 'PX', MARKER_MS) end

local status, marked, told, format, sends =
  unpack(redis.call('HMGET', KEYS[1], FIELD.status, FIELD.unreplicated, FIELD.told, FIELD.format, FIELD.sends))
if not status then return {'lost'} end
if tonumber(format) > FORMAT_VERSION then return {'newer_format'} end

if step == 'look' then
  mark()
  return {tonumber(sends) < tonumber(ARGV[2]) and 'lost' or 'look'}
end

-- Whether a request of the same key was told, and whether this very try was.
told = told or ''
local by_this_key = token ~= '' and string.sub(told, 1, #token + 1) == token .. '|'
local by_this_try = string.match(told, '^(.*)|%d+$') == token .. '|' .. try

if step == 'show' then
  if status ~= 'approved' or marked and not by_this_key and not by_this_try then return {'lost'} end
  redis.call('HDEL', KEYS[1], FIELD.unreplicated)
  return {step}
elseif step == 'take_back' then
  if not marked or not by_this_try then return {'lost'} end
  redis.call('HSET', KEYS[1], FIELD.status, 'pending', FIELD.told, '')
  return {step}
end

local tells = token .. '|' .. try .. '|' .. string.format('%d', now_ms)
if marked and status == 'pending' then
  redis.call('HSET', KEYS[1], FIELD.status, 'approved', FIELD.told, tells)
  return {step, 'approved'}
elseif status == 'pending' then
  return {'lost'}
elseif marked and by_this_key then
  redis.call('HSET', KEYS[1], FIELD.told, tells)  -- so that no earlier try takes it back
  return {step, 'approved'}
end
mark()
-- This very request was told already: by a repeat, or by a process that does not wait.
if status == 'approved' and not marked and (told == '' or by_this_key) then return {step, 'approved'} end
local verdict = ({approved = 'used', canceled = 'canceled'})[status] or 'locked'
count(KEYS[3], 'check:' .. verdict)
return {step, verdict, shown(now_ms, read_record(KEYS[1]))}
