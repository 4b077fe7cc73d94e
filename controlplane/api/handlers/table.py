"""Every RPC that this control plane answers, by name."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.protobuf.message import Message

from controlplane.api.handlers.identity import get_account, get_current_identity
from controlplane.api.handlers.namespaces import NamespaceHandlers
from controlplane.api.handlers.operations import OperationHandlers
from controlplane.api.handlers.regions import RegionHandlers
from controlplane.identity.types import Principal

# Each handler takes its own request type; the service's descriptor sees to it that it gets that.
Handler = Callable[[Principal, Any], Awaitable[Message]]


def handler_table(
    regions: RegionHandlers, namespaces: NamespaceHandlers, operations: OperationHandlers
) -> Mapping[str, Handler]:
    return {
        "GetAccount": get_account,
        "GetCurrentIdentity": get_current_identity,
        "GetRegions": regions.list,
        "GetRegion": regions.get,
        "CreateNamespace": namespaces.create,
        "GetNamespaces": namespaces.list,
        "GetNamespace": namespaces.get,
        "DeleteNamespace": namespaces.delete,
        "GetAsyncOperation": operations.get,
    }
