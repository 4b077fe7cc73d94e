"""The policies of the cell, told to Envoy whenever they change.

Envoy begins to count anew when a limit changes, in every namespace of the cell: each has a full
bucket then.
"""

import hashlib
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from google.protobuf.message import Message

from cells.ingress.gatekeeper.subscriptions import NONE
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.policies import REQUEST_LIMITS, REVOCATIONS, request_limits, revocations

_Distrusted = tuple[frozenset[str], frozenset[str]]
_Limits = frozenset[tuple[str, int]]
_T = TypeVar("_T", bound=Hashable)


class Policies:
    """Filter configurations by name: `discovery.Resources`."""

    type_url = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"

    def __init__(self, table: RecordTable) -> None:
        self._table = table
        self._policies: dict[str, _Policy[_Distrusted] | _Policy[_Limits]] = {
            REVOCATIONS: _Policy(self._distrusted, lambda names: revocations(*names)),
            REQUEST_LIMITS: _Policy(self._limits, lambda limits: request_limits(dict(limits))),
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


class _Policy(Generic[_T]):
    """Made anew only when what goes into it has changed: most changes of records touch neither."""

    def __init__(self, basis: Callable[[], _T], make: Callable[[_T], Message]) -> None:
        self._basis = basis
        self._make = make
        self._made: tuple[_T, str, Message] | None = None

    def current(self) -> tuple[str, Message]:
        """Return its version and content."""
        basis = self._basis()
        if self._made is None or self._made[0] != basis:
            content = self._make(basis)
            version = hashlib.sha256(content.SerializeToString(deterministic=True)).hexdigest()
            self._made = basis, version, content
        return self._made[1], self._made[2]
