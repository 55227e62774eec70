-- The host that the request names must be the server name that the connection was opened with.
function envoy_on_request(request)
  local host = (request:headers():get(":authority") or ""):lower():match("^[^:]*")
  if host ~= request:streamInfo():requestedServerName() then
    request:respond({[":status"] = "421"}, "misdirected request to " .. host)
  end
end
