"""What a gatekeeper has to be told: its JSON file."""

import json
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class GatekeeperConfig:
    """Where one cell's gatekeeper listens, what it reads, where it keeps its copy."""

    cell: str
    socket: Path
    """The Unix socket on which Envoy asks; its folder is made for its owner alone."""
    health_listen: str
    """gRPC health, `host:port`; keep it on loopback or a private network."""
    database_url: str
    """The cell's database, a libpq URL without password."""
    password_file: Path
    """Read anew for every connection, so that the password can be rotated."""
    snapshot: Path
    """Where the records are kept for a start without the database; keys stay sealed in it."""
    sealing_key_file: Path
    """The 32 bytes with which the control plane seals this cell's private keys."""
    prober_ca_file: Path
    """PEM: the certificate of the CA whose clients prove each endpoint."""
    peer_ca_file: Path
    """PEM: the certificate of the CA whose clients are other cells."""
    envoy_folder: Path
    """Where Envoy finds its configuration (`IngressConfig.folder`)."""
    companions: str = ""
    """The name and port that lead to the health services of all of the cell's gatekeepers, this one
    included; empty where it is the only one."""

    @classmethod
    def load(cls, path: Path) -> "GatekeeperConfig":
        """Read the file; a missing or unknown setting raises ValueError naming it."""
        values = json.loads(path.read_text())
        names = {field.name for field in fields(cls)}
        optional = {"companions"}
        if wrong := names.symmetric_difference({*optional, *values}):
            raise ValueError(
                f"{path} must have exactly the settings {', '.join(sorted(names))}; "
                f"missing or unknown: {', '.join(sorted(wrong))}"
            )
        return cls(
            cell=values["cell"],
            socket=Path(values["socket"]),
            health_listen=values["health_listen"],
            database_url=values["database_url"],
            password_file=Path(values["password_file"]),
            snapshot=Path(values["snapshot"]),
            sealing_key_file=Path(values["sealing_key_file"]),
            prober_ca_file=Path(values["prober_ca_file"]),
            peer_ca_file=Path(values["peer_ca_file"]),
            envoy_folder=Path(values["envoy_folder"]),
            companions=values.get("companions", ""),
        )
