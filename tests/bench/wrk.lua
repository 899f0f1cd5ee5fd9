-- Plays a file of POST requests ("path<tab>body", one a line) for wrk.py, once each, and prints the results as JSON.
-- arguments after `--`: the file, the API key, the number of threads (each plays its share). The run ends with its time,
-- and an exhausted list continues with a request that no target answers with 2xx, so that wrk.py rejects the run.
-- With WHOLE_OVER in the environment, the number of connections, it ends with the list, which one thread plays.

local ffi = require('ffi')
ffi.cdef [[
int kill(int, int);
int getpid(void);
struct timespec { long seconds, nanoseconds; };
int clock_gettime(int, struct timespec *);
]]
local MONOTONIC, SIGINT = 1, 2
local AN_HOUR_MS = 3600 * 1000
local connections = tonumber(os.getenv('WHOLE_OVER') or 0)
local clock = ffi.new('struct timespec')
local threads = {}

local function now_us()
  ffi.C.clock_gettime(MONOTONIC, clock)
  return tonumber(clock.seconds) * 1e6 + math.floor(tonumber(clock.nanoseconds) / 1e3)
end

-- wrk calls this before each request and then waits for the returned time. wrk ends at its time or at SIGINT: the last
-- connection without a further request has received the last response, and sends the signal.
local function pause()
  if promised < #requests then
    promised = promised + 1
    return 0
  end
  idle = idle + 1
  if idle == connections then
    took_us = now_us() - began_us
    ffi.C.kill(ffi.C.getpid(), SIGINT)
  end
  return AN_HOUR_MS
end

if connections > 0 then delay = pause end  -- wrk looks it up before it calls `init`

function setup(thread)
  thread:set('place', #threads)
  table.insert(threads, thread)
end

function init(arguments)
  requests, at, promised, idle, ran_out, took_us = {}, -1, 0, 0, 0, 0
  local headers = {['Content-Type'] = 'application/json', ['Authorization'] = 'Bearer ' .. arguments[2]}
  local count = tonumber(arguments[3])
  local number = 0
  for line in io.lines(arguments[1]) do
    if number % count == place then
      local path, body = string.match(line, '^([^\t]*)\t(.*)$')
      requests[#requests + 1] = wrk.format('POST', path, headers, body)
    end
    number = number + 1
  end
end

function request()
  at = at + 1
  if at == 0 then return requests[1] end  -- wrk formats one before it starts, and does not send it
  if at == 1 then began_us = now_us() end
  if at > #requests then
    ran_out = 1
    return wrk.format('GET', '/ran-out')
  end
  return requests[at]
end

function done(summary, latency)
  local any_ran_out, whole_us = 0, 0
  for _, thread in ipairs(threads) do
    any_ran_out = any_ran_out + thread:get('ran_out')
    whole_us = math.max(whole_us, thread:get('took_us'))
  end
  local errors = summary.errors
  io.write('\nJSON ' .. string.format(
    '{"requests": %d, "duration_us": %d, "bytes": %d, "socket_errors": %d, "status_errors": %d, "ran_out": %d, ' ..
    '"p50_us": %d, "p90_us": %d, "p99_us": %d, "max_us": %d}\n',
    summary.requests, whole_us > 0 and whole_us or summary.duration, summary.bytes,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status, any_ran_out,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end
