"""A cell on a made-up foundation, and everything it is in a cluster."""

from cells.life.types import Blueprint
from cells.providers.types import Account, Cluster, Foundation
from cells.release import Software
from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import CellSecrets, Features, Layout
from cells.runtime.kubernetes.manifests.jobs import rehearsal_job
from cells.runtime.kubernetes.manifests.plan import Manifests, manifests, newest_schema
from cells.runtime.kubernetes.settings import KubernetesSettings
from cells.types import Capacity, Provider

BLUEPRINT = Blueprint(
    cell="aws-us-east-1-c7",
    uid="c7abcdef",
    provider=Provider.AWS,
    region="aws-us-east-1",
    ring=1,
    server_version="1.31.2",
    capacity=Capacity(namespaces=500, actions_per_second=2_000),
    failover_version=7,
    network="10.7.0.0/16",
)
FOUNDATION = Foundation(
    account=Account("123456789012"),
    cluster=Cluster("c7abcdef", "https://cluster.test", "PEM"),
    database="database.test:5432",
    database_secret="arn:secret",
    database_ca="-----BEGIN CERTIFICATE-----\n",
    identities={"temporal": "arn:aws:iam::123456789012:role/temporal"},
    region="us-east-1",
)
SECRETS = CellSecrets(
    temporal_database="secret-of-temporal",
    gatekeeper_database="secret-of-gatekeeper",
    sealing_key=b"secret-of-sealing-key-0123456789",
    peer_certificate="secret-of-peer",
    endpoint_ca="endpoint authority",
    prober_ca="prober authority",
    peer_ca="peer authority",
)
CURRENT = Features((1, 37))
WATCHED = Features((1, 37), {"ServiceMonitor": "monitoring.coreos.com/v1"})
OLD = Features((1, 20), {"PodDisruptionBudget": "policy/v1beta1"})
SOFTWARE = Software("1.31.2", configuration={"frontend.namespaceRPS": 300})
SETTINGS = KubernetesSettings()


def layout(blueprint: Blueprint = BLUEPRINT, foundation: Foundation = FOUNDATION) -> Layout:
    return Layout.of(blueprint, foundation)


def objects(
    of: Layout | None = None,
    software: Software = SOFTWARE,
    features: Features = CURRENT,
    settings: KubernetesSettings = SETTINGS,
) -> Manifests:
    return manifests(of or layout(), software, SECRETS, features, settings)


def jobs(of: Layout | None = None, settings: KubernetesSettings = SETTINGS) -> list[Json]:
    """Everything that runs once."""
    where = of or layout()
    files = objects(where, settings=settings).files
    return [
        *newest_schema(where, "1.31.2", files, settings),
        rehearsal_job(where, "1.31.2", files.dynamic, settings),
    ]
