"""What one Envoy asks for, and what it was told: its side of the incremental xDS protocol."""

import logging
from collections.abc import Iterable

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

NONE = "none"
"""The version of a certificate that does not exist."""

_NOT_TOLD = ""

_log = logging.getLogger(__name__)


class Subscriptions:
    """The server names one Envoy waits for or keeps, and the versions of their certificates."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._kept: set[str] = set()
        self._rejected: set[str] = set()

    def receive(self, request: DeltaDiscoveryRequest) -> set[str]:
        """Take in a request, and return the server names it may need answers for."""
        version, _, server_name = request.response_nonce.partition("/")
        if request.HasField("error_detail"):
            reason = request.error_detail.message
            _log.error(
                "Envoy rejected a certificate",
                extra={"fields": {"server_name": server_name, "reason": reason}},
            )
            self._rejected.add(version)
        elif server_name in self._told and version != NONE:
            self._kept.add(server_name)
        for name in request.resource_names_unsubscribe:
            self._told.pop(name, None)
            self._kept.discard(name)
        for name in request.resource_names_subscribe:
            # A returning Envoy says what it still has; any other that asks waits for an answer,
            # also if it was given one before.
            version = request.initial_resource_versions.get(name, _NOT_TOLD)
            self._told[name] = version
            if version != _NOT_TOLD:
                self._kept.add(name)
        return {server_name, *request.resource_names_subscribe}

    def wanted(self, names: Iterable[str]) -> list[str]:
        """Return which of the names Envoy asks for, sorted."""
        return sorted(self._told.keys() & set(names))

    def tell(self, server_name: str, version: str) -> str | None:
        """Return the version to send, NONE to take the certificate away, None to send nothing.

        A certificate that Envoy has rejected does not exist, unless Envoy still keeps an earlier
        one: then that goes on serving.
        """
        if version in self._rejected and server_name not in self._kept:
            version = NONE
        if self._told.get(server_name, version) == version:
            return None
        self._told[server_name] = version
        if version == NONE:
            self._kept.discard(server_name)
        return version


def nonce(server_name: str, version: str) -> str:
    """Return what Envoy will quote when it accepts or rejects this version."""
    return f"{version}/{server_name}"
