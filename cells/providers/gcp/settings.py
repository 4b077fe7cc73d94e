"""How cells are made in GCP, read once from the environment."""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class GcpSettings:
    """What an organisation gives the control plane. Credentials are not here: they are Google's
    application default credentials."""

    folder: str
    """In which every cell gets its project: `folders/123456789`."""
    billing_account: str
    """Which pays for them: `012345-6789AB-CDEF01`."""
    project: str
    """The control plane's own, in which its secrets, its DNS zone and its state bucket are."""
    principal: str
    """Whom the control plane is to Google: `serviceAccount:controlplane@….iam.gserviceaccount.com`.
    It is let into each cell's project, and named where permissions are missing."""
    state_bucket: str
    """Where Terraform keeps what it has made."""
    project_prefix: str = "cell"
    """How the ids of the projects begin; they are unique in the world."""
    control_plane_networks: tuple[str, ...] = ()
    """CIDRs from which the control plane reaches clusters and databases."""
    endpoint_consumers: tuple[str, ...] = ()
    """Projects from which tenants connect privately."""
    hub: str = ""
    """The Network Connectivity Center hub that every cell's network joins."""
    cells_zone: str = ""
    """The zone under which each cell has a public one of its own; empty: cells have none."""
    dns_parent_zone: str = ""
    """Google's name of that zone, in the control plane's project: cells delegate theirs there."""
    dns_endpoint: bool = False
    """Reach clusters by Google's own name of them instead of by their private address."""
    kubernetes_version: str = ""
    rest_endpoint: str = ""
    """Where Google's REST APIs are asked, `http(s)://host:port`; empty: at their own addresses."""
    grpc_endpoint: str = ""
    """The same for its gRPC APIs."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "GcpSettings":
        """Read `CONTROLPLANE_GCP_…` variables; ValueError says which is missing or wrong."""
        return cls(
            folder=_required(env, "FOLDER", _FOLDER, "folders/123456789"),
            billing_account=_required(env, "BILLING_ACCOUNT", _BILLING, "012345-6789AB-CDEF01"),
            project=_required(env, "PROJECT", _PROJECT, "a project's id"),
            principal=_required(
                env, "PRINCIPAL", _PRINCIPAL, "serviceAccount:name@project.iam.gserviceaccount.com"
            ),
            state_bucket=_required(env, "STATE_BUCKET", _BUCKET, "a bucket's name"),
            project_prefix=_matching(
                env, "PROJECT_PREFIX", _PREFIX, "2 to 20 small letters, digits and hyphens", "cell"
            ),
            control_plane_networks=_each(env, "CONTROL_PLANE_NETWORKS", _is_network, "a CIDR"),
            endpoint_consumers=_each(
                env, "ENDPOINT_CONSUMERS", _PROJECT.fullmatch, "a project's id"
            ),
            hub=env.get("CONTROLPLANE_GCP_HUB", ""),
            cells_zone=_matching(
                env, "CELLS_ZONE", _ZONE, "a zone's name without trailing dot", ""
            ),
            dns_parent_zone=_matching(
                env, "DNS_PARENT_ZONE", _MANAGED_ZONE, "Google's name of a zone", ""
            ),
            dns_endpoint=_matching(env, "DNS_ENDPOINT", _FLAG, "true or false", "false") == "true",
            kubernetes_version=_matching(
                env, "KUBERNETES_VERSION", _VERSION, "a version such as 1.35", ""
            ),
            rest_endpoint=_matching(env, "REST_ENDPOINT", _URL, "http(s)://host:port", ""),
            grpc_endpoint=_matching(env, "GRPC_ENDPOINT", _URL, "http(s)://host:port", ""),
        )


_FOLDER = re.compile(r"folders/\d+")
_BILLING = re.compile(r"[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}")
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_PRINCIPAL = re.compile(r"(serviceAccount|user|group|principal|principalSet):\S+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,18}[a-z0-9]")
_ZONE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_MANAGED_ZONE = re.compile(r"[a-z][a-z0-9-]{0,61}[a-z0-9]")
_FLAG = re.compile(r"true|false")
_VERSION = re.compile(r"1\.\d+(\.\S+)?")
_URL = re.compile(r"https?://[^/\s]+")


def _required(env: Mapping[str, str], name: str, form: re.Pattern[str], example: str) -> str:
    if not env.get(f"CONTROLPLANE_GCP_{name}"):
        raise ValueError(f"CONTROLPLANE_GCP_{name} is not set: write {example}")
    return _matching(env, name, form, example, "")


def _matching(
    env: Mapping[str, str], name: str, form: re.Pattern[str], example: str, default: str
) -> str:
    value = env.get(f"CONTROLPLANE_GCP_{name}") or default
    if value and not form.fullmatch(value):
        raise ValueError(f"CONTROLPLANE_GCP_{name} is {value!r}: write {example}")
    return value


def _each(
    env: Mapping[str, str], name: str, is_right: Callable[[str], object], example: str
) -> tuple[str, ...]:
    text = env.get(f"CONTROLPLANE_GCP_{name}", "")
    values = tuple(value.strip() for value in text.split(",") if value.strip())
    for value in values:
        if not is_right(value):
            raise ValueError(
                f"CONTROLPLANE_GCP_{name} has {value!r}: write each as {example}, with commas "
                "between them"
            )
    return values


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True
