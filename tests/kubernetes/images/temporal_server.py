"""`temporal-server` as the image `temporalio/server` has it, made of what this machine has.

`start --service=frontend` becomes a whole Temporal server; any other service becomes a gRPC server
that says it is healthy, on each of its ports. `validate-dynamic-config` asks the real server.
"""

import argparse
import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

import yaml

_SERVICES = ("frontend", "internal-frontend", "history", "matching", "worker")


def main() -> None:
    parser = argparse.ArgumentParser("temporal-server", allow_abbrev=False)
    parser.add_argument("--config-file", type=Path)
    parser.add_argument("--allow-no-auth", action="store_true")
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", allow_abbrev=False)
    starting.add_argument("--service", choices=_SERVICES, required=True)
    validating = commands.add_parser("validate-dynamic-config", allow_abbrev=False)
    validating.add_argument("file", type=Path)
    # What the real one does not know it refuses, and so do these.
    arguments = parser.parse_args()
    if arguments.command == "validate-dynamic-config":
        sys.exit(_validate(arguments.file))
    config = yaml.safe_load(arguments.config_file.read_text())
    if arguments.service == "frontend":
        _become_server(config)
    else:
        _say_healthy()


def _become_server(config: Any) -> None:
    ports = json.loads(os.environ["NODE_PORTS"])
    program = os.environ["NODE_TEMPORAL"]
    values = _dynamic(Path(config["dynamicConfigClient"]["filepath"]))
    database = Path(os.environ["NODE_SHARED"]) / "temporal.db"
    if metadata := config.get("clusterMetadata"):
        _make_database(database, metadata, ports, Path(program))
    os.execv(  # noqa: S606 - no shell is wanted.
        program,
        [
            program,
            "server",
            "start-dev",
            "--headless",
            "--ip=127.0.0.1",
            f"--port={ports['rpc']}",
            *([f"--http-port={ports['http']}"] if "http" in ports else []),
            f"--metrics-port={ports['metrics']}",
            f"--db-filename={database}",
            "--log-level=warn",
            "--sqlite-pragma=journal_mode=WAL",
            "--sqlite-pragma=busy_timeout=10000",
            *(f"--dynamic-config-value={k}={json.dumps(v)}" for k, v in values.items()),
        ],
    )


def _make_database(database: Path, metadata: Any, ports: Mapping[str, int], program: Path) -> None:
    """Have global namespaces, and the failover version, as the static configuration says: this
    server takes neither from a file."""
    from controlplane.local.ports import free_port
    from controlplane.local.temporal_server import TemporalPorts, bootstrap_cell

    own = metadata["clusterInformation"][metadata["currentClusterName"]]
    where = TemporalPorts(ports["rpc"], ports.get("http") or free_port(), ports["metrics"])
    with database.with_name("made.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Another frontend of the namespace may be starting, too.
        if not database.exists() and metadata["enableGlobalNamespace"]:
            asyncio.run(
                bootstrap_cell(
                    database, where, own["initialFailoverVersion"], dict(os.environ), program
                )
            )


def _dynamic(file: Path) -> dict[str, Any]:
    """Return the values of a file of dynamic configuration that hold for everything."""
    document = yaml.safe_load(file.read_text()) or {}
    return {
        key: entry["value"]
        for key, entries in document.items()
        for entry in entries
        if not entry.get("constraints")
    }


def _say_healthy() -> None:
    import grpc
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    from prometheus_client import start_http_server

    class _Anything(health.HealthServicer):  # type: ignore[misc]
        """Says it of whatever service is asked about: the real names are Temporal's affair."""

        def Check(self, request: Any, context: Any) -> Any:  # noqa: ARG002
            return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    ports = json.loads(os.environ["NODE_PORTS"])
    if "metrics" in ports:
        start_http_server(ports.pop("metrics"), "127.0.0.1")
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    health_pb2_grpc.add_HealthServicer_to_server(_Anything(), server)
    for port in ports.values():
        server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: server.stop(0))
    server.wait_for_termination()


def _validate(file: Path) -> int:
    from controlplane.local.dynamic_configuration import unusable

    problems = asyncio.run(unusable(Path(os.environ["NODE_TEMPORAL"]), _dynamic(file)))
    print(*problems, sep="\n", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    main()
