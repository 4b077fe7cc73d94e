"""Temporal's own configuration of a cell: the static one, and the dynamic one.

The static one names no password: the server fills in `{{ env "…" }}` when it starts.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

import yaml

from cells.release import ConfigValue
from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import Layout
from cells.runtime.kubernetes.manifests.naming import Service
from cells.runtime.kubernetes.settings import KubernetesSettings
from cells.stores.names import TEMPORAL, TEMPORAL_VISIBILITY
from cells.types import Provider

FAILOVER_VERSION_INCREMENT = 1_000_000
"""The same in every cell, for ever; initial failover versions are smaller."""
DATABASE_CA_FILE = "/etc/temporal/authorities/database.pem"
DYNAMIC_FILE = "/etc/temporal/dynamic/dynamic.yaml"
PASSWORD_VARIABLE = "TEMPORAL_STORE_PASSWORD"  # noqa: S105 - where it is, not what.
METRICS_PORT = 9090
SQL_PLUGIN = "postgres12_pgx"
VISIBILITY_INDEX = "temporal_visibility_v1"

RPC_PORTS: Mapping[Service, int] = {
    Service.FRONTEND: 7233,
    Service.HISTORY: 7234,
    Service.MATCHING: 7235,
    Service.INTERNAL_FRONTEND: 7236,
    Service.WORKER: 7239,
}
MEMBERSHIP_PORTS: Mapping[Service, int] = {
    Service.FRONTEND: 6933,
    Service.HISTORY: 6934,
    Service.MATCHING: 6935,
    Service.INTERNAL_FRONTEND: 6936,
    Service.WORKER: 6939,
}
HTTP_PORT = 7243

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)+")
_LONGEST_VALUE = 4_096
_POD_IP = '{{ env "POD_IP" }}'
_PASSWORD = f'{{{{ env "{PASSWORD_VARIABLE}" }}}}'


def static_configuration(layout: Layout, settings: KubernetesSettings) -> str:
    """Return the file that every service of the cell is started with."""
    config: Json = {
        "log": {"stdout": True, "level": "info", "format": "json"},
        "persistence": {
            "defaultStore": "main",
            "visibilityStore": "visibility",
            "numHistoryShards": layout.immutable.history_shards,
            "datastores": {
                "main": _sql(layout, settings, TEMPORAL, connections=20),
                "visibility": _visibility(layout, settings),
            },
        },
        "global": {
            "membership": {"maxJoinDuration": "30s", "broadcastAddress": _POD_IP},
            "metrics": {
                "prometheus": {"framework": "tally", "listenAddress": f"0.0.0.0:{METRICS_PORT}"}
            },
        },
        "services": {service.value: {"rpc": _rpc(service)} for service in Service},
        "clusterMetadata": {
            "enableGlobalNamespace": True,
            "failoverVersionIncrement": FAILOVER_VERSION_INCREMENT,
            # Its own master: any cell may register namespaces.
            "masterClusterName": layout.cell,
            "currentClusterName": layout.cell,
            "clusterInformation": {
                layout.cell: {
                    "enabled": True,
                    "initialFailoverVersion": layout.failover_version,
                    "rpcName": "frontend",
                    "rpcAddress": f"{Service.FRONTEND}.{layout.namespace}.svc:7233",
                }
            },
        },
        # What a passive replica is asked, the ingress passes on; a server would do so once more.
        "dcRedirectionPolicy": {"policy": "noop"},
        "dynamicConfigClient": {"filepath": DYNAMIC_FILE, "pollInterval": "10s"},
    }
    return "# enable-template\n" + yaml.safe_dump(config, sort_keys=False, width=1_000)


def dynamic_configuration(
    configuration: Mapping[str, ConfigValue], settings: KubernetesSettings
) -> str:
    """Return the file of dynamic configuration: the cell's own, and what a release adds, which
    wins."""
    values = {**_cell_configuration(settings), **configuration}
    document = {key: [{"value": value}] for key, value in sorted(values.items())}
    return yaml.safe_dump(document, sort_keys=False, width=1_000)


def unusable_keys(configuration: Mapping[str, ConfigValue]) -> Sequence[str]:
    """Say what in dynamic configuration no server could take. Whether one knows the keys is asked
    of that server."""
    problems = []
    for key, value in sorted(configuration.items()):
        if not _KEY.fullmatch(key):
            problems.append(
                f"{key!r} is no key of dynamic configuration: write it like frontend.namespaceRPS"
            )
        elif isinstance(value, float) and not math.isfinite(value):
            problems.append(f"{key!r} has the value {value}: use a finite number")
        elif isinstance(value, str) and len(value) > _LONGEST_VALUE:
            problems.append(
                f"{key!r} has a value of {len(value)} characters: {_LONGEST_VALUE} are allowed"
            )
    return problems


def drain_seconds(service: Service, settings: KubernetesSettings) -> int:
    """Return the most that a service takes to stop as it is configured."""
    drain = _seconds(settings.pace.drain)
    settles = _seconds(settings.pace.membership_settles)
    match service:
        case Service.FRONTEND | Service.INTERNAL_FRONTEND:
            return 2 * drain
        case Service.HISTORY | Service.MATCHING:
            return drain + settles
        case Service.WORKER:
            return drain


def _cell_configuration(settings: KubernetesSettings) -> Mapping[str, ConfigValue]:
    drain = f"{_seconds(settings.pace.drain)}s"
    settles = f"{_seconds(settings.pace.membership_settles)}s"
    return {
        "system.enableCrossNamespaceCommands": False,
        # How soon a server acts on being joined with another: once a minute by default.
        "system.clusterMetadataRefreshInterval": "5s",
        # By default a restart forgets up to five minutes of how far a peer has read, and the peer
        # then silently misses what was written in between.
        "history.shardUpdateMinInterval": "5s",
        "history.shardUpdateMinTasksCompleted": 1,
        "history.shardFirstUpdateInterval": "5s",
        # Off by default: without them every restart moves shards twice, and cuts calls.
        "history.alignMembershipChange": settles,
        "matching.alignMembershipChange": settles,
        "history.startupMembershipJoinDelay": settles,
        "history.shutdownDrainDuration": drain,
        "matching.shutdownDrainDuration": drain,
        "frontend.shutdownFailHealthCheckDuration": drain,
        "frontend.shutdownDrainDuration": drain,
    }


def _rpc(service: Service) -> Json:
    rpc: Json = {
        "grpcPort": RPC_PORTS[service],
        "membershipPort": MEMBERSHIP_PORTS[service],
        "bindOnIP": "0.0.0.0",  # noqa: S104 - network policies say who gets there.
    }
    return {**rpc, "httpPort": HTTP_PORT} if service is Service.FRONTEND else rpc


def _visibility(layout: Layout, settings: KubernetesSettings) -> Json:
    foundation = layout.foundation
    if not foundation.search:
        return _sql(layout, settings, TEMPORAL_VISIBILITY, connections=10)
    url = urlsplit(foundation.search)
    elasticsearch: Json = {
        "version": "v8",
        "url": {"scheme": url.scheme, "host": url.netloc},
        "indices": {"visibility": VISIBILITY_INDEX},
    }
    if layout.provider is Provider.AWS:
        # OpenSearch lets in whom the pods' service account stands for.
        elasticsearch |= {
            "version": "v7",
            "aws-request-signing": {
                "enabled": True,
                "region": foundation.region,
                "credentialProvider": "aws-sdk-default",
            },
        }
    return {"elasticsearch": elasticsearch}


def _sql(layout: Layout, settings: KubernetesSettings, database: str, *, connections: int) -> Json:
    sql: Json = {
        "pluginName": SQL_PLUGIN,
        "databaseName": database,
        "connectAddr": layout.foundation.database,
        "connectProtocol": "tcp",
        "user": TEMPORAL,
        "password": _PASSWORD,
        "maxConns": connections,
        "maxIdleConns": connections,
        "maxConnLifetime": "1h",
    }
    return {"sql": {**sql, "tls": _tls(layout)} if settings.database_tls else sql}


def _tls(layout: Layout) -> Json:
    tls: Json = {
        "enabled": True,
        "enableHostVerification": True,
        "serverName": layout.database_host,
    }
    return {**tls, "caFile": DATABASE_CA_FILE} if layout.foundation.database_ca else tls


def _seconds(length: timedelta) -> int:
    return round(length.total_seconds())
