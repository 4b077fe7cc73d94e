"""Every RPC that this control plane answers, by name."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.protobuf.message import Message

from controlplane.api.handlers.account import get_account, update_account
from controlplane.api.handlers.api_keys import ApiKeyHandlers
from controlplane.api.handlers.audit import AuditHandlers
from controlplane.api.handlers.identity import UserHandlers, get_current_identity
from controlplane.api.handlers.namespace_regions import NamespaceRegionHandlers
from controlplane.api.handlers.namespaces import NamespaceHandlers
from controlplane.api.handlers.operations import OperationHandlers
from controlplane.api.handlers.regions import RegionHandlers
from controlplane.api.handlers.service_accounts import ServiceAccountHandlers
from controlplane.identity.types import Principal

# Each handler takes its own request type; the service's descriptor sees to it that it gets that.
Handler = Callable[[Principal, Any], Awaitable[Message]]


def handler_table(
    regions: RegionHandlers,
    namespaces: NamespaceHandlers,
    namespace_regions: NamespaceRegionHandlers,
    operations: OperationHandlers,
    audit: AuditHandlers,
    users: UserHandlers,
    service_accounts: ServiceAccountHandlers,
    api_keys: ApiKeyHandlers,
) -> Mapping[str, Handler]:
    return {
        "GetAccount": get_account,
        "UpdateAccount": update_account,
        "GetAuditLogs": audit.list,
        "GetCurrentIdentity": get_current_identity,
        "GetRegions": regions.list,
        "GetRegion": regions.get,
        "CreateNamespace": namespaces.create,
        "GetNamespaces": namespaces.list,
        "GetNamespace": namespaces.get,
        "UpdateNamespace": namespaces.update,
        "RenameCustomSearchAttribute": namespaces.rename_search_attribute,
        "UpdateNamespaceTags": namespaces.tag,
        "DeleteNamespace": namespaces.delete,
        "AddNamespaceRegion": namespace_regions.add,
        "DeleteNamespaceRegion": namespace_regions.delete,
        "FailoverNamespaceRegion": namespace_regions.fail_over,
        "GetAsyncOperation": operations.get,
        "GetUsers": users.list,
        "GetUser": users.get,
        "GetServiceAccounts": service_accounts.list,
        "GetServiceAccount": service_accounts.get,
        "CreateServiceAccount": service_accounts.create,
        "UpdateServiceAccount": service_accounts.update,
        "DeleteServiceAccount": service_accounts.delete,
        "SetServiceAccountNamespaceAccess": service_accounts.set_namespace_access,
        "GetServiceAccountNamespaceAssignments": service_accounts.of_namespace,
        "GetApiKeys": api_keys.list,
        "GetApiKey": api_keys.get,
        "CreateApiKey": api_keys.create,
        "UpdateApiKey": api_keys.update,
        "DeleteApiKey": api_keys.delete,
    }
