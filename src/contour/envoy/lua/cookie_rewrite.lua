-- Sets attributes of response cookies by the rules in the filter's context: cookie name -> attribute -> value.
local function trim(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

local function rewrite(cookie, rules)
  local name, rest = cookie:match("^([^=]*)=(.*)$")
  local rule = name and rules[name]
  if not rule then
    return cookie
  end
  local value, tail = rest:match("^([^;]*)(.*)$")

  -- Attributes in the order of the original; a rule replaces in place, or adds at the end.
  local order, attributes = {}, {}
  for part in tail:gmatch("[^;]+") do
    local text = trim(part)
    local key = text:match("^[^=]*")
    if text ~= "" then
      if attributes[key] == nil then
        order[#order + 1] = key
      end
      attributes[key] = text
    end
  end
  local function set(key, text)
    if attributes[key] == nil then
      order[#order + 1] = key
    end
    attributes[key] = text
  end
  for _, key in ipairs({"Path", "Domain", "SameSite"}) do
    if rule[key] ~= nil then
      set(key, key .. "=" .. rule[key])
    end
  end
  if rule["Secure"] == true then
    set("Secure", "Secure")
  elseif rule["Secure"] == false then
    attributes["Secure"] = nil
  end

  local parts = {name .. "=" .. value}
  for _, key in ipairs(order) do
    if attributes[key] ~= nil then
      parts[#parts + 1] = attributes[key]
      attributes[key] = nil
    end
  end
  return table.concat(parts, "; ")
end

function envoy_on_response(response)
  local rules = response:filterContext():get("cookie_rewrite_rules")
  local headers = response:headers()
  if rules == nil or headers:get("set-cookie") == nil then
    return
  end
  local cookies = {}
  for key, value in pairs(headers) do
    if key == "set-cookie" then
      cookies[#cookies + 1] = rewrite(value, rules)
    end
  end
  headers:remove("set-cookie")
  for _, cookie in ipairs(cookies) do
    headers:add("set-cookie", cookie)
  end
end
