-- wrk: a list of URLs in random order, the Coralized Host, and a JSON summary with quantiles
local paths = {}
function init(args)
  math.randomseed(tonumber(args[2] or "1"))
  for line in io.lines(args[1]) do paths[#paths + 1] = line end
  wrk.headers["Host"] = args[3]
end
function request()
  return wrk.format("GET", paths[math.random(#paths)])
end
function done(summary, latency)
  local q = {}
  for i = 1, 200 do q[i] = latency:percentile(i / 2 - 0.25) end
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"us":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"q":[%s]}\n',
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.status,
    e.timeout, table.concat(q, ",")))
end
