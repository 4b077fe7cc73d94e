"""Cells that are asked for, and their lives as they are published."""

from datetime import timedelta

from cells.life.types import Blueprint, Layer, LayerRecord, LifeView, Phase
from cells.types import Capacity, Provider
from controlplane.store.cell_blueprints import AskedCell
from tests.store.views import NOW, REGION

CELL = "aws-us-east-1-c9"


def asked_cell(cell: str = CELL, *, ring: int = 1) -> AskedCell:
    return AskedCell(
        cell=cell,
        provider=Provider.AWS,
        region=REGION,
        ring=ring,
        server_version="1.31.2",
        capacity=Capacity(500, 10_000),
        history_shards=512,
        failure_domain="",
    )


def blueprint(cell: str = CELL) -> Blueprint:
    return Blueprint(
        **vars(asked_cell(cell)), uid="u1234567", failover_version=1001, network="10.64.0.0/16"
    )


def life_view(
    cell: str = CELL, *, revision: int = 1, phase: Phase = Phase.BUILDING, message: str = ""
) -> LifeView:
    return LifeView(
        blueprint=blueprint(cell),
        phase=phase,
        revision=revision,
        layers=(LayerRecord(Layer.PREFLIGHT, NOW, NOW + timedelta(seconds=2)),),
        account=None,
        foundation=None,
        leftovers=(),
        message=message,
        changed_at=NOW,
        requested_by="olga@example.com",
    )
