"""What a cloud would compute: values of the right shape, the same for the same resource."""

import hashlib
import json
from typing import Any

from tests.terraform.cdktn import Type

Values = dict[str, Any]

COMPUTED_BLOCKS: dict[str, Values] = {
    "google_container_cluster": {"master_auth": [{}]},
}
"""Blocks that a provider fills in where the configuration has none: the schema does not say so."""


def plausible(kind: str, identity: str, account: str, region: str, name: str, type_: Type) -> Any:
    """Return a value for the computed attribute `name` of a resource."""

    def made(within: str, of: Type) -> Any:
        if of == "string":
            return _text(kind, identity, account, region, within)
        if of == "number":
            return 5432 if within == "port" else 1
        if of == "bool":
            return False
        if not isinstance(of, list):
            return None
        nesting, inner = of
        if nesting == "map":
            return {}
        if nesting == "object":
            assert isinstance(inner, dict)
            return {each: made(each, type_) for each, type_ in inner.items()}
        assert not isinstance(inner, dict)
        # A list of objects is a part of the resource, such as the certificate of a cluster.
        return [made(within, inner)] if isinstance(inner, list) else []

    return made(name, type_)


def data(kind: str, values: Values, account: str, region: str) -> Values:
    """Return what the cloud knows by itself, of the kinds that modules lean on."""
    match kind:
        case "aws_availability_zones":
            zones = [f"{region}{letter}" for letter in "abc"]
            return {"names": zones, "zone_ids": [f"{zone}-id" for zone in zones]}
        case "aws_caller_identity":
            return {"account_id": account, "arn": f"arn:aws:iam::{account}:root"}
        case "aws_partition":
            return {"partition": "aws", "dns_suffix": "amazonaws.com"}
        case "aws_region":
            return {"name": region, "region": region, "id": region}
        case "aws_iam_policy_document":
            return {"json": _policy(values)}
        case "google_compute_zones":
            return {"names": [f"{region}-{letter}" for letter in "abc"]}
        case "google_project":
            return {"project_id": account, "number": "123456789012"}
        case _:
            return {}


def _text(kind: str, identity: str, account: str, region: str, name: str) -> str:
    short = hashlib.sha256(f"{kind} {identity} {name}".encode()).hexdigest()[:17]
    aws = kind.startswith("aws_")
    match name:
        case "arn" if identity.startswith("arn:"):
            return identity
        case "arn":
            service, _, thing = kind.removeprefix("aws_").partition("_")
            return f"arn:aws:{service}:{region}:{account}:{thing or service}/{identity}"
        case "id" | "self_link":
            return identity
        case "region":
            return region
        case "owner_id" | "account_id":
            return account
        case "endpoint" if kind == "aws_eks_cluster":
            return f"https://{short}.gr7.{region}.eks.amazonaws.com"
        case "endpoint" if kind == "aws_db_instance":
            return f"{identity}.{short}.{region}.rds.amazonaws.com:5432"
        case "address" if kind == "aws_db_instance":
            return f"{identity}.{short}.{region}.rds.amazonaws.com"
        case "secret_arn":
            return f"arn:aws:secretsmanager:{region}:{account}:secret:{short}"
        case "issuer":
            return f"https://oidc.eks.{region}.amazonaws.com/id/{short}"
        case "endpoint" | "ip_address" | "private_ip_address" if not aws:
            return f"10.{int(short[:2], 16)}.{int(short[2:4], 16)}.2"
        case _:
            return f"{name.replace('_', '-')}-{short}"


def _policy(values: Values) -> str:
    """Return an IAM policy document as the provider writes it."""
    statements = []
    for statement in values.get("statement") or []:
        written: Values = {"Effect": statement.get("effect") or "Allow"}
        if statement.get("sid"):
            written["Sid"] = statement["sid"]
        for key, name in (
            ("actions", "Action"),
            ("not_actions", "NotAction"),
            ("resources", "Resource"),
            ("not_resources", "NotResource"),
        ):
            if statement.get(key):
                written[name] = _one_or_many(statement[key])
        for principal in statement.get("principals") or []:
            written.setdefault("Principal", {})[principal["type"]] = _one_or_many(
                principal["identifiers"]
            )
        for condition in statement.get("condition") or []:
            test = written.setdefault("Condition", {}).setdefault(condition["test"], {})
            test[condition["variable"]] = _one_or_many(condition["values"])
        statements.append(written)
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _one_or_many(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else sorted(values)
