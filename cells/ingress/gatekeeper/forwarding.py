"""Where requests are passed on to, told to Envoy: its routes, and the peers they lead to."""

import hashlib
from pathlib import Path

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_pb2 import RouteConfiguration

# What stands inside a cluster's configuration is read by the names of these types.
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2  # noqa: F401
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2  # noqa: F401
from google.protobuf.json_format import ParseDict

from cells.ingress.clusters import peer_cluster, peer_name
from cells.ingress.gatekeeper.derived import Derived
from cells.ingress.gatekeeper.subscriptions import NONE
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.routes import ROUTES, Elsewhere, routes

_TYPE = "type.googleapis.com/"


class Peers:
    """Clusters by name: `discovery.Resources`. Envoy keeps all there are."""

    type_url = _TYPE + Cluster.DESCRIPTOR.full_name
    all_are_kept = True

    def __init__(self, table: RecordTable, envoy_folder: Path) -> None:
        self._table = table
        self._folder = envoy_folder

    def affected(self, _server_names: set[str]) -> set[str]:
        return {peer_name(cell) for cell in self._table.peers}

    def version(self, name: str) -> str:
        cluster = self.resource(name)
        if cluster is None:
            return NONE
        return hashlib.sha256(cluster.SerializeToString(deterministic=True)).hexdigest()

    def resource(self, name: str) -> Cluster | None:
        for cell, ingress in self._table.peers.items():
            if peer_name(cell) == name:
                return ParseDict(peer_cluster(cell, ingress, self._folder), Cluster())
        return None


class Routes:
    """The one route configuration: `discovery.Resources`."""

    type_url = _TYPE + RouteConfiguration.DESCRIPTOR.full_name
    all_are_kept = False

    def __init__(self, table: RecordTable) -> None:
        self._table = table
        self._routes = Derived(
            self._elsewhere, lambda elsewhere: ParseDict(routes(elsewhere), RouteConfiguration())
        )

    def affected(self, server_names: set[str]) -> set[str]:
        return {ROUTES} if server_names else set()

    def version(self, name: str) -> str:
        return self._routes.current()[0] if name == ROUTES else NONE

    def resource(self, name: str) -> RouteConfiguration | None:
        return self._routes.current()[1] if name == ROUTES else None

    def _elsewhere(self) -> frozenset[Elsewhere]:
        return frozenset(
            Elsewhere(record.rules.active_cell, record.rules.forward_polls, record.namespace)
            for record in self._table.records()
            if record.rules.active_cell
        )
