-- Sends the requests of a file, one after the other, as they are: each is a line with its length, then its bytes.
local requests, next_one = {}, 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  while true do
    local length = file:read("*n")
    if not length then break end
    file:read(1)
    requests[#requests + 1] = file:read(length)
  end
  file:close()
end

function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end
