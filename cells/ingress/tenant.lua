-- Hand the connection's namespace, as the gatekeeper answered it, to the filters of the request.
-- Should this fail, the metadata is missing and the last filter denies the request.
function envoy_on_request(handle)
  local admission = handle:connectionStreamInfo():dynamicMetadata():get("envoy.filters.network.ext_authz")
  handle:streamInfo():dynamicMetadata():set("ingress", "namespace", admission["namespace"])
end
