"""A spec in its present fields alone, without their deprecated twins."""

from temporalio.api.cloud.namespace.v1 import NamespaceSpec, ReplicaSpec


def plain(spec: NamespaceSpec) -> NamespaceSpec:
    """Return a copy to change and to compare: the API fills twins in, and reads either."""
    copy = NamespaceSpec()
    copy.CopyFrom(spec)
    if not copy.replicas:
        copy.replicas.extend(ReplicaSpec(region=region) for region in copy.regions)
    del copy.regions[:]
    copy.custom_search_attributes.clear()
    if copy.HasField("mtls_auth"):
        copy.mtls_auth.ClearField("accepted_client_ca_deprecated")
    return copy


def completed(wanted: NamespaceSpec, now: NamespaceSpec) -> NamespaceSpec:
    """Return what an update to `wanted` comes to: some fields stay where they are left out."""
    copy = plain(wanted)
    if not copy.retention_days:
        copy.retention_days = now.retention_days
    if not copy.replicas:
        copy.replicas.extend(now.replicas)
    if now.HasField("capacity_spec") and not copy.HasField("capacity_spec"):
        copy.capacity_spec.CopyFrom(now.capacity_spec)
    if now.HasField("fairness") and not copy.HasField("fairness"):
        copy.fairness.CopyFrom(now.fairness)
    if now.HasField("high_availability") and not copy.HasField("high_availability"):
        copy.high_availability.CopyFrom(now.high_availability)
    return copy
