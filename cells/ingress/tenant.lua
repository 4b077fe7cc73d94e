-- Hand what the gatekeeper answered for the connection to the filters of the request.
-- Should this fail, the namespace is missing: the last filter denies the request, and one that is
-- said to need no API key is asked for one.
function envoy_on_request(handle)
  local headers = handle:headers()
  -- Ours alone: a client that sends them must not pass for another.
  headers:remove("x-ingress-certificate")
  headers:remove("x-ingress-authority")

  local admission = handle:connectionStreamInfo():dynamicMetadata():get("envoy.filters.network.ext_authz")
  if admission["certificate"] ~= nil then
    headers:add("x-ingress-certificate", admission["certificate"])
    headers:add("x-ingress-authority", admission["authority"])
  end
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

-- Name the limit to whoever ran into it. Should this fail, the answer is as Envoy words it.
function envoy_on_response(handle)
  local headers = handle:headers()
  if headers:get("grpc-message") ~= "local_rate_limited" then return end
  local known = handle:streamInfo():dynamicMetadata():get("ingress")
  headers:replace("grpc-message", "namespace " .. known["namespace"] .. " is limited to "
    .. headers:get("x-ratelimit-limit") .. " requests per second")
end
