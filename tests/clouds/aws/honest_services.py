"""EKS, Route 53, quotas and load balancers as AWS has them, where moto is kinder or lacks them."""

import base64
import itertools
import json
import time
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.eks.models import Cluster, EKSBackend, eks_backends
from moto.route53.exceptions import Route53ClientError
from moto.route53.models import FakeZone, RecordSet, Route53Backend, route53_backends
from moto.route53.responses import Route53
from moto.secretsmanager.exceptions import InvalidRequestException
from moto.secretsmanager.models import SecretsManagerBackend
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse

from tests.clouds.aws.honest_accounts import WORLD
from tests.clouds.aws.patches import replace_methods

DEFAULT_QUOTAS = {
    "ec2/L-0263D0A3": 5.0,
    "ec2/L-1216C47A": 64.0,
    "eks/L-1194D53C": 100.0,
    "elasticloadbalancing/L-69A177A2": 50.0,
    "es/L-6408ABDE": 80.0,
    "rds/L-7B6409FD": 40.0,
    "vpc/L-F678F1CE": 5.0,
    "vpc/L-FE5A380F": 5.0,
}

_describe_snapshots = EBSBackend.describe_snapshots
_put_secret_value = SecretsManagerBackend.put_secret_value
_create_cluster = EKSBackend.create_cluster
_describe_cluster = EKSBackend.describe_cluster


@dataclass(frozen=True)
class Change:
    """A change of a zone, of which the servers hear a little later."""

    zone: str
    due: float
    records: tuple[tuple[str, str, int, tuple[str, ...]], ...]
    """All that the zone has after it: name, type, TTL and values."""


CHANGES: dict[str, Change] = {}
"""By id, in the order in which they were made."""
_ids = itertools.count(1)


def install() -> None:
    """Put all of it in place of moto's."""
    replace_methods(EKSBackend, create_cluster=_being_made, describe_cluster=_made_by_now)
    replace_methods(EBSBackend, describe_snapshots=_own_snapshots)
    replace_methods(SecretsManagerBackend, put_secret_value=_put_unless_going)
    replace_methods(Route53Backend, change_resource_record_sets=_all_or_nothing)
    replace_methods(Route53, change_resource_record_sets=_changing, get_change=_change)
    replace_methods(
        ServiceQuotasResponse,
        get_service_quota=_quota,
        get_aws_default_service_quota=_quota,
        get_service_quota_increase_request_from_template=_template,
    )


def has_cluster(account: str, region: str, name: str, endpoint: str, ca: str) -> None:
    """Let there be a cluster, made by whatever makes clusters, that answers at the endpoint."""
    backend = eks_backends[account][region]
    if name not in backend.clusters:
        role = f"arn:aws:iam::{account}:role/cluster"
        cluster = _create_cluster(backend, name, role, {"subnetIds": ["subnet-1"]})
    else:
        cluster = backend.clusters[name]
    cluster.endpoint = endpoint
    cluster.certificate_authority = {"data": base64.b64encode(ca.encode()).decode()}


def published(zone: str) -> tuple[tuple[str, str, int, tuple[str, ...]], ...]:
    """Return what the zone's servers know by now."""
    known: tuple[tuple[str, str, int, tuple[str, ...]], ...] = ()
    for change in CHANGES.values():
        if change.zone == zone and time.time() >= change.due:
            known = change.records
    return known


def zones() -> list[str]:
    """Return the names of all zones, with their trailing dots."""
    return [
        zone.name
        for partitions in list(route53_backends.values())
        for backend in list(partitions.values())
        for zone in list(backend.zones.values())
    ]


def _being_made(self: EKSBackend, *args: Any, **kwargs: Any) -> Cluster:
    cluster = _create_cluster(self, *args, **kwargs)
    cluster.status = "CREATING"
    cluster.due = time.time() + WORLD.lag  # type: ignore[attr-defined]
    return cluster


def _made_by_now(self: EKSBackend, name: str) -> Cluster:
    cluster = _describe_cluster(self, name)
    if cluster.status == "CREATING" and time.time() >= getattr(cluster, "due", 0.0):
        cluster.status = "ACTIVE"
    return cluster


def _own_snapshots(self: EBSBackend, *args: Any, **kwargs: Any) -> list[Any]:
    """Return the account's own: moto shows each account AWS's own hundreds, whatever is asked."""
    found = _describe_snapshots(self, *args, **kwargs)
    return [one for one in found if one.owner_id == self.account_id]  # type: ignore[attr-defined]


def _put_unless_going(self: SecretsManagerBackend, secret_id: str, **asked: Any) -> str:
    if self._is_valid_identifier(secret_id) and self.secrets[secret_id].is_deleted():
        raise InvalidRequestException("the secret was marked for deletion")
    return _put_secret_value(self, secret_id, **asked)


def _all_or_nothing(self: Route53Backend, zoneid: str, change_list: list[dict[str, Any]]) -> None:
    """Carry out a batch on a copy, which takes the zone's place when nothing was wrong with it."""
    zone = self.get_hosted_zone(zoneid)
    kept = {(one.name, one.type): one for one in zone.rrsets}
    for change in change_list:
        wanted = _record_set(change["ResourceRecordSet"], zone)
        key, action = (wanted.name, wanted.type), change["Action"]
        present = kept.get(key)
        if action == "CREATE" and present is not None:
            raise _invalid(f"Tried to create {key}, but it already exists")
        if action == "DELETE":
            if present is None or not _same(present, wanted):
                raise _invalid(f"Tried to delete {key}, but it was not found as described")
            del kept[key]
        else:
            kept[key] = wanted
    for name, kind in kept:
        if kind == "CNAME" and any(other != kind for at, other in kept if at == name):
            raise _invalid(f"RRSet of type CNAME with DNS name {name} conflicts with others")
    zone.rrsets = list(kept.values())


def _record_set(asked: dict[str, Any], zone: FakeZone) -> RecordSet:
    name = asked["Name"].rstrip(".").lower() + "."
    if not name.endswith("." + zone.name) and name != zone.name:
        raise _invalid(f"RRSet with DNS name {name} is not permitted in zone {zone.name}")
    records = [one["Value"] for one in asked.get("ResourceRecords", [])]
    return RecordSet({**asked, "Name": name, "ResourceRecords": records})  # type: ignore[abstract]  # It is moto's own way.


def _same(one: RecordSet, other: RecordSet) -> bool:
    return str(one.ttl) == str(other.ttl) and sorted(one.records) == sorted(other.records)


def _invalid(message: str) -> Route53ClientError:
    return Route53ClientError("InvalidChangeBatch", message)


def _changing(response: Route53) -> ActionResult:
    zone_id = response._get_param("HostedZoneId")
    response.backend.change_resource_record_sets(
        zone_id, response._get_param("ChangeBatch.Changes")
    )
    zone = response.backend.get_hosted_zone(zone_id)
    records = tuple(
        (one.name, str(one.type), int(one.ttl or 0), tuple(one.records)) for one in zone.rrsets
    )
    change = f"/change/C{next(_ids):012d}"
    CHANGES[change] = Change(zone.name, time.time() + WORLD.lag, records)
    return _told(change)


def _change(response: Route53) -> ActionResult:
    return _told(f"/change/{response._get_param('Id').rpartition('/')[2]}")


def _told(change: str) -> ActionResult:
    due = CHANGES[change].due
    status = "INSYNC" if time.time() >= due else "PENDING"
    submitted = "2026-01-01T00:00:00Z"
    return ActionResult({"ChangeInfo": {"Id": change, "Status": status, "SubmittedAt": submitted}})


def _quota(response: ServiceQuotasResponse) -> str:
    asked = json.loads(response.body)
    name = f"{asked['ServiceCode']}/{asked['QuotaCode']}"
    if name == "organizations/L-E619E033":
        value: float | None = float(WORLD.account_limit)
    else:
        value = WORLD.quotas.get(name, DEFAULT_QUOTAS.get(name))
    return _quota_told("Quota", "Value", asked, value)


def _template(response: ServiceQuotasResponse) -> str:
    asked = json.loads(response.body)
    value = WORLD.quota_template.get(f"{asked['ServiceCode']}/{asked['QuotaCode']}")
    return _quota_told("ServiceQuotaIncreaseRequestInTemplate", "DesiredValue", asked, value)


def _quota_told(what: str, how_much: str, asked: dict[str, Any], value: float | None) -> str:
    if value is None:
        raise NoSuchResource
    codes = {key: asked[key] for key in ("ServiceCode", "QuotaCode")}
    return json.dumps({what: {**codes, how_much: value}})
