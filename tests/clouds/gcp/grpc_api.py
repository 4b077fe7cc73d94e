"""A gRPC server of Google's APIs, whose methods are read out of the client's own transports."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud.resourcemanager_v3.services.folders.transports import FoldersGrpcTransport
from google.cloud.resourcemanager_v3.services.projects.transports import ProjectsGrpcTransport
from google.iam.v1 import iam_policy_pb2
from google.longrunning import operations_pb2

from tests.clouds.gcp.api_errors import ApiError
from tests.clouds.gcp.faulty import Caller, Front

Handler = Callable[[Any, Caller], Any]
"""Given the request; returns the answer, or raises ApiError."""

_IAM = {
    f"{method}IamPolicy": getattr(iam_policy_pb2, f"{method}IamPolicyRequest")
    for method in ("Get", "Set")
} | {"TestIamPermissions": iam_policy_pb2.TestIamPermissionsRequest}
"""Requests that are older than the others, and do not say what they are."""

_NOBODY = AnonymousCredentials()  # type: ignore[no-untyped-call]  # Has no types.


@dataclass(frozen=True)
class GrpcApi(grpc.GenericRpcHandler):
    front: Front
    handlers: dict[str, Handler] = field(default_factory=dict)
    """By `Projects.GetProject` and its like."""

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        service, method = details.method.lstrip("/").split("/")
        call = f"{service.rpartition('.')[2]}.{method}"
        read = _REQUESTS.get(call)
        if read is None:
            return None

        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            metadata = dict(context.invocation_metadata() or ())
            token = str(metadata.get("authorization", "")).removeprefix("Bearer ")
            handler = self.handlers.get(call)
            try:
                if handler is None:
                    raise ApiError("UNIMPLEMENTED", call)
                return await self.front.passed(call, token, lambda who: handler(request, who))
            except ConnectionResetError as gone:
                # What a client makes of a connection that is closed under it.
                await context.abort(grpc.StatusCode.UNAVAILABLE, str(gone))
            except ApiError as error:
                status = error.grpc_status().SerializeToString()
                context.set_trailing_metadata((("grpc-status-details-bin", status),))
                await context.abort(error.grpc_code, error.message)

        return grpc.unary_unary_rpc_method_handler(answer, read, _serialized)

    async def start(self) -> tuple[grpc.aio.Server, str]:
        """Return the server, and where it is."""
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((self,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        await asyncio.sleep(0)
        return server, f"http://127.0.0.1:{port}"


class _Recorder:
    """Notes which methods a transport would call, instead of calling them."""

    def __init__(self) -> None:
        self.methods: dict[str, Any] = {}

    def opened(self, *_: Any, **__: Any) -> "_Recorder":
        return self

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        *_: Any,
        **__: Any,
    ) -> Callable[..., None]:
        self.methods[method] = request_serializer
        return lambda *_, **__: None


def _requests(transports: Sequence[type[Any]]) -> dict[str, Callable[[bytes], Any]]:
    """Return, by call, what reads its request."""
    found: dict[str, Callable[[bytes], Any]] = {
        "Operations.GetOperation": operations_pb2.GetOperationRequest.FromString
    }
    for transport in transports:
        recorder = _Recorder()
        made = transport(channel=recorder.opened, credentials=_NOBODY)
        made._logged_channel, made._stubs = recorder, {}
        for name, attribute in vars(transport).items():
            if isinstance(attribute, property) and name not in (
                "operations_client",
                "kind",
                "get_operation",
            ):
                getattr(made, name)
        for path, serializer in recorder.methods.items():
            service, method = path.lstrip("/").split("/")
            call = f"{service.rpartition('.')[2]}.{method}"
            if method in _IAM:
                found[call] = _IAM[method].FromString
            elif call not in found:
                found[call] = serializer.__self__.deserialize
    return found


def _serialized(message: Any) -> bytes:
    kind = type(message)
    content: bytes = (
        kind.serialize(message) if hasattr(kind, "serialize") else message.SerializeToString()
    )
    return content


_REQUESTS = _requests((ProjectsGrpcTransport, FoldersGrpcTransport))
