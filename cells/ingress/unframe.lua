-- Take a gzipped gRPC message out of its frame, so that the decompressors see plain gzip.
-- Should this fail, the message stays framed and compressed, which field extraction refuses.
-- Envoy's configuration defines before this: LARGEST_MESSAGE, in bytes, and TIER_ENDS, the largest
-- size of each inflate tier, ascending, the last of them LARGEST_MESSAGE.

local function refuse(handle, status, message)
  handle:respond({
    [":status"] = "200",
    ["content-type"] = "application/grpc",
    ["grpc-status"] = status,
    ["grpc-message"] = message,
    ["grpc-accept-encoding"] = "identity,gzip",
  }, "")
end

function envoy_on_request(handle)
  local headers = handle:headers()
  -- Ours alone: a client that sends them must not steer the decompressors.
  headers:remove("content-encoding")
  headers:remove("x-ingress-inflate")
  local encoding = headers:get("grpc-encoding")
  if encoding == nil or encoding == "identity" then return end
  if encoding ~= "gzip" then return refuse(handle, "12", "grpc-encoding must be gzip or identity") end

  local body = handle:body(true)
  headers = handle:headers() -- Waiting for the body killed the first wrapper.
  local size = body:length()
  if size < 5 then return refuse(handle, "3", "the gRPC frame is cut short") end
  local compressed, a, b, c, d = body:getBytes(0, 5):byte(1, 5)
  if ((a * 256 + b) * 256 + c) * 256 + d ~= size - 5 then
    return refuse(handle, "3", "a request is exactly one gRPC frame")
  end
  headers:remove("grpc-encoding")
  if compressed == 0 then return end
  if compressed ~= 1 or size < 5 + 18 then
    return refuse(handle, "3", "the gRPC frame is malformed")
  end

  -- A gzip stream ends with its inflated size: refuse honest bombs before inflating them, and
  -- let the last filter of the three notice the others.
  local e, f, g, h = body:getBytes(size - 4, 4):byte(1, 4)
  local inflated = ((h * 256 + g) * 256 + f) * 256 + e
  if size > LARGEST_MESSAGE or inflated > LARGEST_MESSAGE then
    return refuse(handle, "8", "the message is larger than " .. LARGEST_MESSAGE .. " bytes")
  end

  local tier = 1
  while size > TIER_ENDS[tier] do tier = tier + 1 end
  body:setBytes(body:getBytes(5, size - 5))
  headers:remove("content-length")
  headers:add("content-encoding", "gzip")
  headers:add("x-ingress-inflate", tostring(tier))
  handle:streamInfo():dynamicMetadata():set("ingress.inflate", "size", inflated)
end
