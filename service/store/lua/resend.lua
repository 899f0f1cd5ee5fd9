#!lua
-- Add the next send, with its own code, to a pending verification.
--
-- KEYS   1 verification   2 number   3 stats   4 link, only if it is one
-- ARGV   1 number policy   2 late window (ms)   3 most sends   4 policy of failed checks per number
--        5 most failed checks in a row   6 tag of the Idempotency-Key that asks, or ''
--        7 the number, encrypted under the newest key   8 '1': to a test number, which has the same code again
--        9 digests of the new code, 16 bytes each, newest key first   10 stats suffix (country:channel)
--        11 its channel   12 '' or, for the next channel of a list, claimed until (ms)   13 how many sends there were then
--        14 its wait (s) in a list that does not name it   15… field without the send's number, value, … of the new send
-- answer {'sent', record as shown.lua shows it} | {'missing'} | {'newer_format'} | {'ended', record} | {'exhausted'}
--        | {'limited', retry_after_ms, 'number' | 'failed_checks'} | {'same_code'} an earlier send carries this code
--        | {'already', record} this Idempotency-Key has had its send: another process took its request over
--        | {'overtaken'} the next channel was claimed again, or is not due any more
-- atomic state, limits, record and list. All sends share the attempts; a resend never resets them (NIST SP 800-63B 3.2.2).

--@include clock.lua
--@include shown.lua
--@include windows.lua
--@include streak.lua
--@include number_limits.lua
local funnel_prefix = string.sub(KEYS[1], 1, 8) .. 'funnel:'  -- the keys of its partition
--@include funnel.lua
--@include further.lua

local DIGEST_BYTES = 16

local policy, late_ms, most_sends, digests = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[9]
local record = read_record(KEYS[1])
if not record[FIELD.status] then return {'missing'} end
if tonumber(record[FIELD.format]) > FORMAT_VERSION then return {'newer_format'} end
local sends = tonumber(record[FIELD.sends])

if ARGV[6] ~= '' then
  for number = 1, sends do
    if record[SEND.idempotency_tag .. number] == ARGV[6] then return {'already', shown(now_ms, record)} end
  end
end
local newest_ms = tonumber(record[SEND.sent_at_ms .. (record[FIELD.newest] or sends)])
local ttl_ms = tonumber(record[FIELD.ttl_seconds]) * 1000
if record[FIELD.status] ~= 'pending' or now_ms >= newest_ms + ttl_ms or now_ms < newest_ms - STEP_MS then
  return {'ended', shown(now_ms, record)}
end
local further, claimed_until = record[FIELD.further], ARGV[12]
if claimed_until ~= '' then
  local due_ms = redis.call('ZSCORE', fallbacks_key(KEYS[1]), id_of(KEYS[1]))
  local is_due = tonumber(due_ms) == tonumber(claimed_until)  -- a resend may happen to set the same instant
  if record[FIELD.unreplicated] then return {'ended', shown(now_ms, record)} end
  if not is_due or sends ~= tonumber(ARGV[13]) then return {'overtaken'} end
end
if sends >= most_sends then return {'exhausted'} end
local number, of_send = sends + 1, {}
for i = 15, #ARGV, 2 do
  of_send[#of_send + 1], of_send[#of_send + 2] = ARGV[i] .. (sends + 1), ARGV[i + 1]
end
local log, refusal = ask_number(KEYS[2], policy, ARGV[4], ARGV[5])
if refusal then
  for i = 1, #of_send, 2 do record[of_send[i]] = of_send[i + 1] end
  count_blocked(record, number, refusal[3])
  return refusal
end
-- The same code has another digest under an older key, so all digests are compared.
for place = 1, ARGV[8] == '1' and 0 or #digests, DIGEST_BYTES do
  if record[FIELD.code .. string.sub(digests, place, place + DIGEST_BYTES - 1)] then return {'same_code'} end
end

local new_log = append(log, policy, now_ms)
redis.call('HSET', KEYS[2], 'sends', new_log)
keep_for(KEYS[2], math.max(longest_window_ms(policy), ttl_ms + late_ms))
local changes = {
  FIELD.sends, number, SEND.sent_at_ms .. number, string.format('%d', now_ms),
  FIELD.code .. string.sub(digests, 1, DIGEST_BYTES), number,
  -- Encrypted anew, like the digest: a host without the newest key must see that it cannot check this record.
  FIELD.number, ARGV[7],
  FIELD.resend_at_ms, string.format('%d', next_free_ms(instants(new_log, now_ms), policy, now_ms)),
}
if further then
  -- The channel of this send is taken from the list, if it is there: each is in it once. The wait is that channel's own.
  local wait, rest = string.match(further, '^(%d+)|(.*)$')
  if (record[SEND.channel .. sends] or DEFAULT.channel) ~= ARGV[11] then wait = ARGV[14] end
  local kept = {}
  for channel, own_wait in string.gmatch(rest, '(%w+):(%d+)') do
    if channel ~= ARGV[11] then
      kept[#kept + 1] = channel .. ':' .. own_wait
    else
      wait = own_wait
    end
  end
  further = wait .. '|' .. table.concat(kept, ',')
  changes[#changes + 1], changes[#changes + 2] = FIELD.further, further
end
for _, word in ipairs(of_send) do changes[#changes + 1] = word end
redis.call('HDEL', KEYS[1], FIELD.newest)
redis.call('HSET', KEYS[1], unpack(changes))
redis.call('PEXPIRE', KEYS[1], ttl_ms + late_ms, 'GT')  -- an earlier send may wait longer for its SID
if is_any_left(further) then
  follow_in(KEYS[1], tonumber(string.match(further, '^%d+')) * 1000)
else
  follow_never(KEYS[1])
end
if KEYS[4] then
  --@include links.lua
  local rest_ms = redis.call('PTTL', KEYS[1])
  redis.call('SET', KEYS[4], string.match(KEYS[1], '[^:]+$'), 'PX', rest_ms)
  keep_links(KEYS[1], record, rest_ms)
end
count(KEYS[3], (claimed_until == '' and 'resent:' or 'fallback:') .. ARGV[10])
record = read_record(KEYS[1])
count_send(KEYS[1], record, number, now_ms + ttl_ms)
return {'sent', shown(now_ms, record)}
