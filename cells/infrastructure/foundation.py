"""What a cell's module says it has made, checked before anybody builds on it."""

import json
from collections.abc import Mapping
from typing import Any

from cells.infrastructure.failures import TerraformFailed
from cells.providers.types import Account, Cluster, Foundation

_NEEDED = (*("cluster_name", "cluster_endpoint", "database", "database_secret", "region"),)
_PEM = "-----BEGIN CERTIFICATE-----"


def foundation(shown: str, module: str, account: Account) -> Foundation:
    """Return what the outputs say (`terraform output -json cell`).

    Raise TerraformFailed that names what is missing or not what it should be: some of it is only
    known a while after it was made.
    """
    outputs: dict[str, Any] = json.loads(shown)
    problems = [
        f"{name} is {'missing' if name not in outputs else 'empty'}"
        for name in _NEEDED
        if not outputs.get(name)
    ]
    problems += [
        f"{name} is not text, but {value!r}"
        for name in _TEXTS
        if not isinstance(value := outputs.get(name) or "", str)
    ]
    if not problems:
        problems = _misshapen(outputs)
    if problems:
        raise TerraformFailed(
            f"what {module} has made cannot be built upon: {'; '.join(problems)}. Its outputs are "
            "described in terraform/README.md"
        )
    return Foundation(
        account=account,
        cluster=Cluster(
            name=outputs["cluster_name"],
            endpoint=outputs["cluster_endpoint"],
            ca=outputs.get("cluster_ca") or "",
        ),
        database=outputs["database"],
        database_secret=outputs["database_secret"],
        database_ca=outputs.get("database_ca") or "",
        search=outputs.get("search") or "",
        key=outputs.get("key") or "",
        endpoint_service=outputs.get("endpoint_service") or "",
        identities=dict(outputs.get("identities") or {}),
        region=outputs["region"],
    )


_TEXTS = (
    *_NEEDED,
    *("cluster_ca", "database_ca", "search", "key", "endpoint_service"),
)


def _misshapen(outputs: Mapping[str, Any]) -> list[str]:
    problems = [
        f"{name} is {outputs[name]!r}, not an https URL"
        for name in ("cluster_endpoint", "search")
        if outputs.get(name) and not outputs[name].startswith("https://")
    ]
    problems += [
        f"{name} is not PEM"
        for name in ("cluster_ca", "database_ca")
        if outputs.get(name) and not outputs[name].lstrip().startswith(_PEM)
    ]
    _, colon, port = outputs["database"].rpartition(":")
    if not colon or not port.isdecimal():
        problems.append(f"database is {outputs['database']!r}, not host:port")
    return problems
