"""The policies of the cell, told to Envoy whenever they change.

Envoy begins to count anew when a limit changes, in every namespace of the cell: each has a full
bucket then.
"""

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC

from cells.ingress.gatekeeper.derived import Derived
from cells.ingress.gatekeeper.subscriptions import NONE
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.policies import REQUEST_LIMITS, REVOCATIONS, request_limits, revocations

_Distrusted = tuple[frozenset[str], frozenset[str]]
_Limits = frozenset[tuple[str, int]]


class Policies:
    """Filter configurations by name: `discovery.Resources`."""

    type_url = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
    all_are_kept = False

    def __init__(self, table: RecordTable) -> None:
        self._table = table
        self._policies: dict[str, Derived[_Distrusted, RBAC] | Derived[_Limits, LocalRateLimit]] = {
            REVOCATIONS: Derived(self._distrusted, lambda names: revocations(*names)),
            REQUEST_LIMITS: Derived(self._limits, lambda limits: request_limits(dict(limits))),
        }

    def affected(self, server_names: set[str]) -> set[str]:
        return set(self._policies) if server_names else set()

    def version(self, name: str) -> str:
        policy = self._policies.get(name)
        return NONE if policy is None else policy.current()[0]

    def resource(self, name: str) -> TypedExtensionConfig | None:
        policy = self._policies.get(name)
        if policy is None:
            return None
        resource = TypedExtensionConfig(name=name)
        resource.typed_config.Pack(policy.current()[1], deterministic=True)
        return resource

    def _distrusted(self) -> _Distrusted:
        """Return the certificates and the authorities that are trusted no longer."""
        certificates = frozenset(
            f"{record.namespace}/{serial}"
            for record in self._table.records()
            for serial in record.rules.revoked_serials
        )
        authorities = frozenset(
            f"{namespace}/{authority}" for namespace, authority in self._table.withdrawals.pairs()
        )
        return certificates, authorities

    def _limits(self) -> _Limits:
        return frozenset(
            (record.namespace, record.rules.requests_per_second)
            for record in self._table.records()
            if record.rules.requests_per_second > 0
        )
