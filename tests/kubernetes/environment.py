"""The environment of a container, from wherever its variables come."""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal

from tests.kubernetes.api import KubernetesApi, Refused
from tests.kubernetes.entries import entries
from tests.kubernetes.objects import Container, Pod, ResourceFieldRef, ValueFrom, Variable

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")
_LABEL = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_SUFFIXES = {
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
}


class ConfigError(Exception):
    """The container names something that is not there; it is started when it is."""


async def environment(
    api: KubernetesApi, pod: Pod, container: Container, statuses: Mapping[str, str]
) -> dict[str, str]:
    """Return the container's variables. `statuses` are the fields of the pod's status.

    Raise ConfigError when a Secret, a ConfigMap or an entry is missing.
    """
    values: dict[str, str] = {}
    for source in container.env_from:
        for kind, reference in (
            ("secrets", source.secret_ref),
            ("configmaps", source.config_map_ref),
        ):
            if reference is not None:
                found = await _entries(api, pod, kind, reference.name, reference.optional)
                values |= {source.prefix + key: value.decode() for key, value in found.items()}
    for variable in container.env:
        value = await _value(api, pod, container, variable, statuses)
        if value is not None:
            values[variable.name] = expanded(value, values)
    return values


def expanded(text: str, values: Mapping[str, str]) -> str:
    """Return the text with `$(NAME)` replaced; names that nothing has stay as they are."""

    def replaced(found: re.Match[str]) -> str:
        return "$" if found[1] is None else values.get(found[1], found[0])

    return _REFERENCE.sub(replaced, text)


def field_of(pod: Pod, path: str, statuses: Mapping[str, str]) -> str:
    """Return what a `fieldRef` refers to."""
    metadata = pod.metadata
    if found := _LABEL.fullmatch(path):
        values = metadata.labels if found[1] == "labels" else metadata.annotations
        return values.get(found[2], "")
    fields = {
        "metadata.name": metadata.name,
        "metadata.namespace": metadata.namespace,
        "metadata.uid": metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        **statuses,
    }
    if path not in fields:
        raise ConfigError(f"fieldRef {path!r} is none of {', '.join(fields)}")
    return fields[path]


def quantity(text: str) -> Decimal:
    """Return what a quantity such as 500m or 2Gi amounts to."""
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if text.endswith(suffix):
            return Decimal(text.removesuffix(suffix)) * _SUFFIXES[suffix]
    return Decimal(text)


async def _value(
    api: KubernetesApi,
    pod: Pod,
    container: Container,
    variable: Variable,
    statuses: Mapping[str, str],
) -> str | None:
    match variable.value_from:
        case None:
            return variable.value
        case ValueFrom(field_ref=reference) if reference is not None:
            return field_of(pod, reference.field_path, statuses)
        case ValueFrom(resource_field_ref=resource) if resource is not None:
            return _resource(pod, container, resource)
        case ValueFrom(secret_key_ref=key, config_map_key_ref=other):
            kind, chosen = ("secrets", key) if key is not None else ("configmaps", other)
            assert chosen is not None, variable
            found = await _entries(api, pod, kind, chosen.name, chosen.optional)
            if chosen.key in found:
                return found[chosen.key].decode()
            if chosen.optional:
                return None
            raise ConfigError(f"couldn't find key {chosen.key} in {kind} {chosen.name}")


def _resource(pod: Pod, container: Container, reference: ResourceFieldRef) -> str:
    named = [c for c in pod.spec.containers if c.name == reference.container_name]
    resources = (named[0] if named else container).resources
    kind, _, name = reference.resource.partition(".")
    amount = (resources.requests if kind == "requests" else resources.limits).get(name, "0")
    divisor = quantity(reference.divisor) or Decimal(1)
    return str((quantity(amount) / divisor).to_integral_value(ROUND_CEILING))


async def _entries(
    api: KubernetesApi, pod: Pod, kind: str, name: str, optional: bool
) -> Mapping[str, bytes]:
    try:
        return await entries(api, pod.metadata.namespace, kind, name)
    except Refused as refused:
        if refused.status == 404 and optional:
            return {}
        raise ConfigError(str(refused)) from refused
