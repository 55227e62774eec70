-- Second selection of a scope, for requests whose first found no route (envoy.md §2, step 2).
--
-- The private header holds `<group>/<host>`: group "http" and the request's authority on the plain listener, the
-- chain's group and the connection's server name on the TLS listener. Scope keys are exact and in lower case.
-- What is known of hosts and routes comes as their metadata under this filter's name; this text is constant.

local HEADER = "x-contour-scope"

-- Envoy decided about the upgrade before there was a route, so the route's permission is looked at here.
local function refuse_upgrade(handle)
  handle:respond({[":status"] = "403"}, "")
end

local function without_port(authority)
  return string.lower(string.match(authority or "", "^[^:]*"))
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local group, host = string.match(headers:get(HEADER) or "", "^([^/]+)/([^:]*)")
  if group == nil then
    return
  end
  local upgrade = headers:get("upgrade")
  local lower = string.lower(host)
  local reselected = lower ~= host
  local route = nil
  if reselected then
    headers:replace(HEADER, group .. "/" .. lower)
    handle:clearRouteCache()
    -- Of all that a script can ask for, only this makes Envoy select again, and only the first time.
    route = handle:metadata()
  end
  -- Read once, after the selection that counts: Envoy keeps what it answers first.
  if handle:virtualHost():metadata():get("known") then
    if upgrade ~= nil and reselected and route:get("upgrade") ~= string.lower(upgrade) then
      refuse_upgrade(handle)
    end
    return
  end
  if group ~= "http" and without_port(headers:get(":authority")) ~= lower then
    handle:respond({[":status"] = "421"}, "misdirected request\n")
    return
  end
  headers:replace(HEADER, group .. "/*")
  handle:clearRouteCache()
  -- After a host in upper case there is no third look: a wildcard host's WebSocket wants its name in lower case.
  if upgrade ~= nil and (reselected or handle:metadata():get("upgrade") ~= string.lower(upgrade)) then
    refuse_upgrade(handle)
  end
end
