"""What one Envoy asks for, and what it was told: its side of the incremental xDS protocol."""

import logging
from collections.abc import Iterable

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

NONE = "none"
"""The version of what does not exist."""

_NOT_TOLD = ""

_log = logging.getLogger(__name__)


class Subscriptions:
    """The resources of one type that one Envoy waits for or keeps, and their versions."""

    def __init__(self, *, everything: bool = False) -> None:
        """With `everything`, Envoy asks for all there are instead of by name."""
        self._everything = everything
        self._owes_an_answer = False
        self._told: dict[str, str] = {}
        self._kept: set[str] = set()
        self._rejected: set[str] = set()

    def receive(self, request: DeltaDiscoveryRequest) -> set[str]:
        """Take in a request, and return the names it may need answers for."""
        subscribed = list(request.resource_names_subscribe)
        if self._everything and not request.response_nonce:
            # What a returning Envoy still has may be there no longer.
            self._owes_an_answer = True
            subscribed = list(request.initial_resource_versions)
        version, _, name = request.response_nonce.partition("/")
        if request.HasField("error_detail"):
            reason = request.error_detail.message
            _log.error(
                "Envoy rejected what it was told",
                extra={"fields": {"name": name, "reason": reason}},
            )
            self._rejected.add(version)
        elif name in self._told and version != NONE:
            self._kept.add(name)
        for name in request.resource_names_unsubscribe:
            self._told.pop(name, None)
            self._kept.discard(name)
        for name in subscribed:
            # A returning Envoy says what it still has; any other that asks waits for an answer,
            # also if it was given one before.
            version = request.initial_resource_versions.get(name, _NOT_TOLD)
            self._told[name] = version
            if version != _NOT_TOLD:
                self._kept.add(name)
        return {name, *subscribed}

    def wanted(self, names: Iterable[str]) -> list[str]:
        """Return which of the names Envoy asks for, sorted."""
        if self._everything:
            return sorted(self._told.keys() | {name for name in names if name})
        return sorted(self._told.keys() & set(names))

    def owe_an_answer(self) -> bool:
        """Tell, once, whether Envoy has asked for all there are and waits to hear what that is."""
        owed, self._owes_an_answer = self._owes_an_answer, False
        return owed

    def tell(self, name: str, version: str) -> str | None:
        """Return the version to send, NONE to take the resource away, None to send nothing.

        What Envoy has rejected does not exist, unless Envoy still keeps an earlier
        one: then that goes on serving.
        """
        if version in self._rejected and name not in self._kept:
            version = NONE
        told = self._told.get(name, NONE if self._everything else version)
        if told == version:
            return None
        self._told[name] = version
        if version == NONE:
            self._kept.discard(name)
        return version


def nonce(name: str, version: str) -> str:
    """Return what Envoy will quote when it accepts or rejects this version."""
    return f"{version}/{name}"
