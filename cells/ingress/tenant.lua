-- Hand what the gatekeeper answered for the connection to the filters and the routes of the request.
-- Should this fail, the namespace is missing: the last filter denies the request, and one that is
-- said to need no API key is asked for one.
local OURS = {
  "x-ingress-certificate", "x-ingress-authority", "x-ingress-namespace", "x-ingress-server-name",
  "x-ingress-prober",
}

function envoy_on_request(handle)
  local headers = handle:headers()
  -- Ours alone: a client that sends them must not pass for another, or be passed on elsewhere.
  for _, name in ipairs(OURS) do headers:remove(name) end

  local admission = handle:connectionStreamInfo():dynamicMetadata():get("envoy.filters.network.ext_authz")
  if admission["certificate"] ~= nil then
    headers:add("x-ingress-certificate", admission["certificate"])
  end
  if admission["authority"] ~= nil then
    headers:add("x-ingress-authority", admission["authority"])
  end
  if admission["peer"] == nil then
    headers:add("x-ingress-namespace", admission["namespace"])
    headers:add("x-ingress-server-name", admission["server_name"])
    if admission["counted_for"] == nil then headers:add("x-ingress-prober", "1") end
  else
    -- What was passed on already stays here. (No namespace is called so; without the header there
    -- would be no route at all.)
    headers:add("x-ingress-namespace", "here")
  end
  handle:clearRouteCache()
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("ingress", "because", admission["because"] or "")
  -- An SDK asks for this when it connects and, refused, gives up.
  local connecting = headers:get(":path") == "/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo"
  if admission["counted_for"] ~= nil and not connecting then
    metadata:set("ingress", "counted_for", admission["counted_for"])
  end
  metadata:set("ingress", "credential", admission["credential"])
  metadata:set("ingress", "namespace", admission["namespace"])
end

-- Name the limit to whoever ran into it; and let clients try again that came while the namespace
-- became active elsewhere: what they hear from the Temporal service, they would take for final.
-- Should this fail, the answer is as it was.
function envoy_on_response(handle)
  local headers = handle:headers()
  local status, message = headers:get("grpc-status"), headers:get("grpc-message")
  if message == nil then return end
  if status == "9" and message:find("is a standby cluster", 1, true) then
    headers:replace("grpc-status", "14")
    headers:remove("grpc-status-details-bin")
  elseif message == "local_rate_limited" then
    local known = handle:streamInfo():dynamicMetadata():get("ingress")
    headers:replace("grpc-message", "namespace " .. known["namespace"] .. " is limited to "
      .. headers:get("x-ratelimit-limit") .. " requests per second")
  end
end
