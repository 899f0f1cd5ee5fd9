-- Plays a file of POST requests ("path<tab>body", one a line) for wrk.py, once each, and prints what came of it as JSON.
-- arguments after `--`: the file, the API key, the number of threads (each plays its share)

local threads = {}

function setup(thread)
  thread:set('place', #threads)
  table.insert(threads, thread)
end

function init(arguments)
  requests, at, ran_out = {}, 0, 0
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

-- wrk cannot be stopped before its time is up: a list that ran out goes on
-- with one that no target answers with 2xx, and wrk.py throws the run away.
function request()
  at = at + 1
  if at > #requests then
    ran_out = 1
    return wrk.format('GET', '/ran-out')
  end
  return requests[at]
end

function done(summary, latency)
  local any_ran_out = 0
  for _, thread in ipairs(threads) do any_ran_out = any_ran_out + thread:get('ran_out') end
  local errors = summary.errors
  io.write('\nJSON ' .. string.format(
    '{"requests": %d, "duration_us": %d, "bytes": %d, "socket_errors": %d, "status_errors": %d, "ran_out": %d, ' ..
    '"p50_us": %d, "p90_us": %d, "p99_us": %d, "max_us": %d}\n',
    summary.requests, summary.duration, summary.bytes,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status, any_ran_out,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end
