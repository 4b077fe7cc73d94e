"""What a cloud gives a cell to stand on."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Account:
    """What belongs to one cell alone: an AWS account, or a GCP project."""

    id: str
    """Twelve digits, or the project's id."""
    acts_as: str = ""
    """Whom the control plane becomes in it: a role's ARN, or a service account's e-mail."""


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes cluster, as everybody may know it."""

    name: str
    endpoint: str
    """An https URL."""
    ca: str
    """PEM: who signs the endpoint's certificate."""


@dataclass(frozen=True)
class Foundation:
    """What a cell in a cloud stands on: the outputs that every module `cell-*` of `terraform/`
    has, and the account they are in. References only, no secrets."""

    account: Account
    cluster: Cluster
    database: str
    """Of the PostgreSQL server, `host:port`."""
    database_secret: str
    """Where the cloud keeps the name and password of the server's first role."""
    database_ca: str = ""
    """PEM: who signs the server's certificate; empty where a public authority does."""
    search: str = ""
    """An https URL of the visibility store; empty where PostgreSQL is that, too."""
    key: str = ""
    """The key that encrypts what the cell keeps: a KMS ARN or resource name."""
    endpoint_service: str = ""
    """What tenants connect to privately: a PrivateLink service name, or a service attachment."""
    identities: dict[str, str] = field(default_factory=dict)
    """By service account of the cluster: the cloud's identity that its pods have."""
    region: str = ""
    """As the cloud calls it, such as us-east-1."""


@dataclass(frozen=True)
class ClusterAccess:
    """How to reach a cluster now, as somebody whom it lets in."""

    cluster: Cluster
    token: str = field(repr=False)
    """A bearer token."""
    expires_at: datetime


@dataclass(frozen=True)
class DatabaseLogin:
    """The first role of a PostgreSQL server."""

    role: str
    password: str = field(repr=False)
