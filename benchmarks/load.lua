-- Load for wrk: reads and writes of random profiles.
-- Environment: MODE (get, save), TOKENS (file, one a line), PREFIX (path), SUFFIX, PROFILES, HEADER (Authorization form)
local mode, prefix, profiles = os.getenv("MODE"), os.getenv("PREFIX"), tonumber(os.getenv("PROFILES"))
local style = os.getenv("STYLE") or "tabellion"
local tokens, wrong = {}, 0
for line in io.lines(os.getenv("TOKENS")) do tokens[#tokens + 1] = line end

function init(args) math.randomseed(os.time() + tonumber(tostring({}):sub(10), 16) % 100000) end

local function mail() return string.format("user%d@example.com", math.random(profiles)) end

local function document(n)
  if style == "pocketbase" then
    return string.format('{"email":"new%d-%d@example.com","firstName":"Ann","lastName":"Vos%d","birthDate":"1984-05-12","country":"BE"}',
      math.random(1000000000), math.random(1000000000), n)
  end
  return string.format('{"attributes":[{"name":"emailAddress","value":"%s"},{"name":"firstName","value":"Ann"},' ..
    '{"name":"lastName","value":"Vos%d"},{"name":"birthDate","value":"1984-05-12"},{"name":"addressCountry","value":"BE"}]}', mail(), n)
end

function request()
  local headers = { ["Authorization"] = tokens[math.random(#tokens)] }
  if mode == "get" then
    if style == "pocketbase" then
      return wrk.format("GET", prefix .. "?perPage=1&skipTotal=1&filter=email%3D%27" .. mail() .. "%27", headers)
    end
    return wrk.format("GET", prefix .. mail(), headers)
  end
  headers["Content-Type"] = "application/json"
  return wrk.format("POST", prefix, headers, document(math.random(1000000)))
end

function response(status)
  if status ~= 200 and status ~= 201 then wrong = wrong + 1; print("status " .. status) end
end
