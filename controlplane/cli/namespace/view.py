"""A namespace for people."""

from datetime import UTC

from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceSpec
from temporalio.api.cloud.resource.v1 import ResourceState

from controlplane.cli.output import moment, print_facts, results, table
from controlplane.cli.spec.ca_bundle import authorities
from controlplane.cli.spec.difference import Change

_AFTER_ENDPOINT = 4
"""The place in the list of facts."""


def show(namespace: Namespace) -> None:
    """Print what there is to know of one namespace."""
    spec = namespace.spec
    facts = [
        ("Namespace", namespace.namespace),
        ("State", state(namespace)),
        ("Region", _regions(namespace)),
        ("Endpoint", endpoint(namespace) or "none yet"),
        ("Retention", f"{spec.retention_days} days"),
        ("Lets in", _lets_in(namespace)),
        ("Search attributes", ", ".join(sorted(spec.search_attributes)) or "none"),
        ("Delete protection", "on" if spec.lifecycle.enable_delete_protection else "off"),
        ("Tags", ", ".join(f"{k}={v}" for k, v in sorted(namespace.tags.items())) or "none"),
        ("Created", created(namespace)),
        ("Version", namespace.resource_version),
    ]
    if spec.codec_server.endpoint:
        facts.insert(-2, ("Codec server", spec.codec_server.endpoint))
    if namespace.async_operation_id:
        facts.append(("Operation", namespace.async_operation_id))
    if len(spec.replicas) > 1:
        facts.insert(_AFTER_ENDPOINT, ("High availability", _high_availability(spec)))
    print_facts(facts)


def show_changes(changes: list[Change]) -> None:
    """Print what becomes of which field."""
    rows = table("FIELD", "NOW", "WANTED")
    for change in changes:
        rows.add_row(change.what, change.now or "-", change.wanted or "-")
    results().print(rows)


def state(namespace: Namespace) -> str:
    return ResourceState.Name(namespace.state).removeprefix("RESOURCE_STATE_")


def region(namespace: Namespace) -> str:
    return namespace.active_region or ", ".join(
        replica.region for replica in namespace.spec.replicas
    )


def created(namespace: Namespace) -> str:
    return moment(namespace.created_time.ToDatetime(UTC))


def endpoint(namespace: Namespace) -> str:
    """Return where clients dial, whichever way they are let in."""
    return namespace.endpoints.mtls_grpc_address or namespace.endpoints.grpc_address


def _regions(namespace: Namespace) -> str:
    """Return where it is active, then where its other replicas are."""
    others = [replica.region for replica in namespace.replicas if not replica.is_primary]
    return f"{region(namespace)} (replicas: {', '.join(others)})" if others else region(namespace)


def _high_availability(spec: NamespaceSpec) -> str:
    wanted = spec.high_availability
    managed = "asked for only" if wanted.disable_managed_failover else "managed failover"
    polls = "polls not forwarded" if wanted.disable_passive_poller_forwarding else "polls forwarded"
    return f"{managed}, {polls}"


def _lets_in(namespace: Namespace) -> str:
    spec, ways = namespace.spec, []
    if spec.mtls_auth.enabled:
        trusted = "; ".join(authorities(spec.mtls_auth.accepted_client_ca))
        ways.append(f"certificates of {trusted or 'its managed CA'}")
    if spec.api_key_auth.enabled:
        ways.append("API keys")
    return ", ".join(ways) or "nobody"
