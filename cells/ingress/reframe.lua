-- Put an inflated message back into an uncompressed gRPC frame.
-- Should this fail, the message has no frame, which field extraction refuses.
local function refuse(handle)
  handle:respond({
    [":status"] = "200",
    ["content-type"] = "application/grpc",
    ["grpc-status"] = "3",
    ["grpc-message"] = "the gzip stream is not what its trailer says",
  }, "")
end

function envoy_on_request(handle)
  local expected = handle:streamInfo():dynamicMetadata():get("ingress.inflate")
  if expected == nil then return end
  handle:headers():remove("x-ingress-inflate")

  local body = handle:body(true)
  local size = body:length()
  if size ~= expected["size"] then return refuse(handle) end
  local header = string.char(
    0, math.floor(size / 16777216), math.floor(size / 65536) % 256, math.floor(size / 256) % 256, size % 256)
  body:setBytes(header .. body:getBytes(0, size))

  -- The decompressor reports in request trailers, on which Go's gRPC server closes the connection.
  local trailers = handle:trailers()
  if trailers ~= nil then
    trailers:remove("x-envoy-decompressor-gzip-compressed-bytes")
    trailers:remove("x-envoy-decompressor-gzip-uncompressed-bytes")
  end
end
