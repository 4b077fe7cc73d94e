"""Cells for tests of AWS, and what they stand on there."""

from datetime import timedelta

from cells.life.types import Blueprint
from cells.providers.aws.cloud import AwsCloud
from cells.providers.aws.settings import AwsSettings
from cells.providers.types import Account, Cluster, Foundation
from cells.types import Capacity, Provider

PAUSE = timedelta(seconds=0.05)
ADMISSION = timedelta(seconds=20)


def cloud_of(settings: AwsSettings) -> AwsCloud:
    return AwsCloud(settings, PAUSE, ADMISSION)


def blueprint(uid: str = "c1a2b3d4", region: str = "aws-us-west-2") -> Blueprint:
    return Blueprint(
        cell=f"{region}-c7",
        uid=uid,
        provider=Provider.AWS,
        region=region,
        ring=1,
        server_version="1.31.2",
        capacity=Capacity(namespaces=100, actions_per_second=500),
        failover_version=7,
        network="10.7.0.0/16",
    )


def foundation(account: Account, region: str = "us-west-2", secret: str = "login") -> Foundation:  # noqa: S107 - a name.
    return Foundation(
        account=account,
        cluster=Cluster("cell-c1a2b3d4", "https://old.example.com", "old"),
        database="db.example.com:5432",
        database_secret=secret,
        region=region,
    )
