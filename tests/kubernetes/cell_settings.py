"""What differs for cells whose cluster is on this machine."""

from datetime import timedelta

from cells.runtime.kubernetes.settings import KubernetesSettings, Pace, Ports
from controlplane.local.ports import assign_ports
from controlplane.local.servers import known_versions

AT_ONCE = timedelta(0)
PACE = Pace(
    min_ready=AT_ONCE,
    progress_deadline=timedelta(minutes=4),
    load_balancer_deadline=timedelta(minutes=2),
    removal_deadline=timedelta(minutes=3),
    look=timedelta(milliseconds=200),
    drain=AT_ONCE,
    membership_settles=AT_ONCE,
)


def settings_here() -> KubernetesSettings:
    """Return the settings of one cell: in a cloud each load balancer has an address, and here it
    has a port of one."""
    names = ["frontend", "ingress", "ingress_status", "gatekeeper", "replication"]
    return KubernetesSettings(
        server_versions=known_versions(),
        ports=Ports(**assign_ports(names, {})),
        pace=PACE,
        ingress_node_port=0,
        database_tls=False,
        small=True,
    )
