-- The scope of a redirect that Envoy is to follow itself (envoy.md §2); runs between a cluster and the router.
--
-- The router copies this header from the response to the request before it looks for the new route. What it may be
-- comes as metadata of the route under this filter's name: `group`, the host `host` whose scope is `scope`, or, where
-- there is no `host`, the wildcard scope `scope` of whatever host was asked for. This text is constant.

local HEADER = "x-contour-scope"

local function without_port(authority)
  return string.lower(string.match(authority or "", "^[^:]*"))
end

function envoy_on_request(handle)
  handle:streamInfo():dynamicMetadata():set("contour.redirect", "asked", without_port(handle:headers():get(":authority")))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  -- Never what an upstream says: it would choose among everybody's hosts.
  headers:remove(HEADER)
  local route = handle:metadata()
  local group = route:get("group")
  local target = string.match(headers:get("location") or "", "^%a[%w+.-]*://([^/?#]*)")
  if group == nil or target == nil then
    return
  end
  target = without_port(target)
  local own = route:get("host")
  if own == nil and not route:get("rewritten") then
    own = handle:streamInfo():dynamicMetadata():get("contour.redirect")["asked"]
  end
  if target == own then
    headers:add(HEADER, route:get("scope"))
  elseif group == "http" then
    headers:add(HEADER, group .. "/" .. target)
  end
end
