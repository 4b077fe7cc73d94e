"""What Terraform is given for a cell in AWS: inputs, a place for its state, and who it is.

It acts as the control plane's role in the management account, for an hour, narrowed down to the
state of cells and to becoming the role of this one cell: the root module's provider does that.
"""

import json
import os
from collections.abc import Mapping
from datetime import timedelta

from cells.life.types import Blueprint
from cells.providers.aws.permissions import DELEGATION
from cells.providers.aws.settings import AwsSettings
from cells.providers.ports import Variable
from cells.providers.types import Account
from controlplane.aws.identity import Identity

SESSION_LIFE = timedelta(hours=1)
"""The longest that AWS gives a role which becomes another."""
_STATES = "cells"


def variables(settings: AwsSettings, blueprint: Blueprint, account: Account) -> dict[str, Variable]:
    """Return the inputs of `terraform/modules/cell-aws`; what is not set has its default."""
    given: dict[str, Variable] = {
        "cell": blueprint.cell,
        "uid": blueprint.uid,
        "account": account.id,
        "acts_as": account.acts_as,
        "region": blueprint.cloud_region,
        "network": blueprint.network,
        "actions_per_second": blueprint.capacity.actions_per_second,
    }
    if settings.control_plane_networks:
        given["control_plane_networks"] = list(settings.control_plane_networks)
    if settings.transit_gateway:
        given["transit_gateway"] = settings.transit_gateway
    if settings.endpoint_consumers:
        given["endpoint_consumers"] = list(settings.endpoint_consumers)
    if settings.zone_id:
        given["dns_zone"] = f"{blueprint.cell}.cells.{settings.zone}"
        given["dns_parent_zone"] = settings.zone_id
        if settings.dns_role:
            given["dns_role"] = settings.dns_role
    return given


def backend(settings: AwsSettings, blueprint: Blueprint) -> dict[str, str]:
    """Return the configuration of the backend `s3`, which locks with a file beside the state."""
    key = {"kms_key_id": settings.state_key} if settings.state_key else {}
    return {
        "type": "s3",
        "bucket": settings.state_bucket,
        "key": f"{_STATES}/{blueprint.cell}-{blueprint.uid}/terraform.tfstate",
        "region": settings.state_region,
        "encrypt": "true",
        "use_lockfile": "true",
        **key,
    }


async def environment(settings: AwsSettings, own: Identity, account: Account) -> Mapping[str, str]:
    """Return short-lived credentials and nothing of the process's own environment but where AWS
    is."""
    outside = {"ExternalId": settings.external_id} if settings.external_id else {}
    answer = await own.ask(
        own.client("sts").assume_role,
        RoleArn=settings.organization_role,
        RoleSessionName=f"{settings.session_name}-terraform",
        DurationSeconds=int(SESSION_LIFE.total_seconds()),
        Policy=json.dumps(session_policy(settings, account), separators=(",", ":")),
        **outside,
    )
    taken = answer["Credentials"]
    elsewhere = os.environ.get("AWS_ENDPOINT_URL")
    return {
        "AWS_ACCESS_KEY_ID": taken["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": taken["SecretAccessKey"],
        "AWS_SESSION_TOKEN": taken["SessionToken"],
        "AWS_REGION": settings.state_region,
        "AWS_RETRY_MODE": "standard",
        "AWS_MAX_ATTEMPTS": "10",
        **({"AWS_ENDPOINT_URL": elsewhere} if elsewhere else {}),
    }


def session_policy(settings: AwsSettings, account: Account) -> dict[str, object]:
    """Return what Terraform may do, of all that the control plane's role may."""
    bucket = f"arn:{settings.partition}:s3:::{settings.state_bucket}"
    statements: list[dict[str, object]] = [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket},
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            "Resource": f"{bucket}/{_STATES}/*",
        },
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": account.acts_as},
    ]
    if settings.state_key:
        statements.append(
            {
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": settings.state_key,
            }
        )
    if settings.dns_role:
        statements.append(
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": settings.dns_role}
        )
    elif settings.zone_id:
        zone = f"arn:{settings.partition}:route53:::hostedzone/{settings.zone_id}"
        change = f"arn:{settings.partition}:route53:::change/*"
        statements.append(
            {"Effect": "Allow", "Action": list(DELEGATION), "Resource": [zone, change]}
        )
    return {"Version": "2012-10-17", "Statement": statements}
