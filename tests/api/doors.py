"""The ways to the Cloud Ops API that clients take: the SDK's client over gRPC, and HTTP."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import httpx
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from temporalio.client import CloudOperationsClient
from temporalio.service import RPCError, RPCStatusCode

# As Temporal Cloud's reference of the HTTP API lists them.
ROUTES: Mapping[str, tuple[str, str]] = {
    "GetAsyncOperation": ("GET", "/cloud/operations/{asyncOperationId}"),
    "GetRegions": ("GET", "/cloud/regions"),
    "GetRegion": ("GET", "/cloud/regions/{region}"),
    "GetNamespaces": ("GET", "/cloud/namespaces"),
    "CreateNamespace": ("POST", "/cloud/namespaces"),
    "GetNamespace": ("GET", "/cloud/namespaces/{namespace}"),
    "UpdateNamespace": ("POST", "/cloud/namespaces/{namespace}"),
    "DeleteNamespace": ("DELETE", "/cloud/namespaces/{namespace}"),
    "RenameCustomSearchAttribute": (
        "POST",
        "/cloud/namespaces/{namespace}/rename-custom-search-attribute",
    ),
    "AddNamespaceRegion": ("POST", "/cloud/namespaces/{namespace}/add-region"),
    "DeleteNamespaceRegion": ("DELETE", "/cloud/namespaces/{namespace}/regions/{region}"),
    "FailoverNamespaceRegion": ("POST", "/cloud/namespaces/{namespace}/failover-region"),
    "UpdateNamespaceTags": ("POST", "/cloud/namespaces/{namespace}/update-tags"),
}

_WORD = re.compile(r"(?<!^)(?=[A-Z])")
Answer = TypeVar("Answer", bound=Message)


class Refused(Exception):
    def __init__(self, code: RPCStatusCode, message: str) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message


class Door(Protocol):
    async def call(self, request: Message, answer: type[Answer], version: str = "") -> Answer:
        """Return the answer to a request; raise Refused. `version` is the caller's API version."""
        ...


@dataclass(frozen=True)
class GrpcDoor:
    cloud: CloudOperationsClient

    async def call(self, request: Message, answer: type[Answer], version: str = "") -> Answer:
        method = getattr(self.cloud.cloud_service, _WORD.sub("_", _rpc(request)).lower())
        try:
            answered: Answer = await method(request, metadata=_headers(version))
        except RPCError as error:
            raise Refused(error.status, error.message) from None
        assert isinstance(answered, answer)
        return answered


@dataclass(frozen=True)
class HttpDoor:
    http: httpx.AsyncClient

    async def call(self, request: Message, answer: type[Answer], version: str = "") -> Answer:
        verb, path = ROUTES[_rpc(request)]
        fields = MessageToDict(request)
        for name in re.findall(r"{(\w+)}", path):
            path = path.replace(f"{{{name}}}", str(fields.pop(name, "")))
        answered = await self.http.request(
            verb,
            path,
            headers=_headers(version),
            params=None if verb == "POST" else fields,
            json=fields if verb == "POST" else None,
        )
        if answered.is_error:
            told = answered.json()
            raise Refused(RPCStatusCode(told["code"]), told["message"])
        return ParseDict(answered.json(), answer())


def _rpc(request: Message) -> str:
    return type(request).__name__.removesuffix("Request")


def _headers(version: str) -> dict[str, str]:
    return {"temporal-cloud-api-version": version} if version else {}
