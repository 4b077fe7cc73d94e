"""Cells and their leases over HTTP: what operators do by hand."""

from dataclasses import replace

from pydantic import TypeAdapter

from cells.ledger.types import Fenced, LeaseView, LedgerView, Purpose
from cells.types import CellView, Cordon
from cells.visits.types import Visit, VisitPhase
from controlplane.store.audit import AuditLog
from controlplane.store.ledger import LedgerProjections
from controlplane.store.projections import Projections
from tests.api.running import RunningApi, Tenant
from tests.store.views import CELL, NOW

CELLS = "/fleet/v1/cells"
LEDGER = "/fleet/v1/ledger"
_CELL = TypeAdapter(CellView)


async def test_a_cordon_is_seen_at_once_and_taken_away_again(operator: Tenant) -> None:
    path = f"{CELLS}/{CELL}"
    async with operator.http() as http:
        cordoned = await http.post(f"{path}:cordon", json={"reason": "it is loud"})
        seen = await http.get(path)
        freed = await http.post(f"{path}:uncordon", json={"reason": "it is quiet"})

    view = _CELL.validate_json(cordoned.content)
    assert view.cordon is not None
    assert (view.cordon.reason, view.cordon.by) == ("it is loud", operator.owner.email)
    assert _CELL.validate_json(seen.content) == view
    assert _CELL.validate_json(freed.content).cordon is None


async def test_a_quarantine_is_lifted_by_a_person_who_says_why(
    api: RunningApi, operator: Tenant
) -> None:
    known = api.fleet.cells[CELL]
    broken = replace(
        known, revision=known.revision + 1, quarantine=Cordon("it smokes", "visit v1", NOW)
    )
    api.fleet.cells[CELL] = broken
    await Projections(api.pool).publish_cell(broken)

    async with operator.http() as http:
        lifted = await http.post(
            f"{CELLS}/{CELL}:lift-quarantine", json={"reason": "it does not smoke any more"}
        )

    assert _CELL.validate_json(lifted.content).quarantine is None
    (record,) = await AuditLog(api.pool).read(operator.account, limit=10)
    assert record.entry.what == "fleet.cells.lift-quarantine"
    assert record.entry.details["request"] == {
        "reason": "it does not smoke any more",
        "cell": CELL,
        "what": "lift quarantine",
    }
    before, after = record.entry.details["before"], record.entry.details["after"]
    assert "it smokes" in str(before)
    assert after == {"cordon": None, "quarantine": None, "visit": ""}


async def test_a_cell_is_freed_from_a_dead_visit_by_a_person_who_says_why(
    api: RunningApi, operator: Tenant
) -> None:
    known = api.fleet.cells[CELL]
    visit = Visit("v1", "r-1.31", "rollout/r1", VisitPhase.SERVER, "to 1.31.2", NOW)
    visited = replace(known, revision=known.revision + 1, visit=visit)
    api.fleet.cells[CELL] = visited
    api.fleet.visits.add("v1")
    await Projections(api.pool).publish_cell(visited)

    path = f"{CELLS}/{CELL}:release-visit"
    async with operator.http() as http:
        too_early = await http.post(path, json={"reason": "it takes long"})
        api.fleet.visits.clear()
        freed = await http.post(path, json={"reason": "it was terminated"})
        await http.post(f"{CELLS}/{CELL}:lift-quarantine", json={"reason": "looked at it"})

    assert too_early.status_code == 400
    assert "still runs" in too_early.json()["message"]
    view = _CELL.validate_json(freed.content)
    assert view.visit is None
    assert view.quarantine is not None
    entries = [r.entry for r in await AuditLog(api.pool).read(operator.account, limit=10)]
    refused, released, _ = entries
    assert (released.what, released.status) == ("fleet.cells.release-visit", "OK")
    assert released.details["request"] == {
        "reason": "it was terminated",
        "cell": CELL,
        "what": "release visit",
    }
    before, after = released.details["before"], released.details["after"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert (before["visit"], after["visit"]) == ("v1", "")
    assert refused.status == "FAILED_PRECONDITION"


async def test_a_cell_that_is_not_there_is_not_found(operator: Tenant) -> None:
    async with operator.http() as http:
        answers = [
            await http.get(f"{CELLS}/nothing"),
            *[
                await http.post(f"{CELLS}/nothing:{verb}", json={"reason": "x"})
                for verb in ("cordon", "uncordon", "lift-quarantine", "release-visit")
            ],
        ]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["message"] for answer in answers} == {
        "cell 'nothing' not found: `controlplane cell list` shows them all"
    }


async def test_the_ledger_is_shown_as_it_was_last_published(
    api: RunningApi, operator: Tenant
) -> None:
    lease = LeaseView(CELL, "rollout/r1", Purpose.ROLLOUT, NOW, number=7, namespaces=2)
    view = LedgerView(revision=1, leases=(lease,))
    await LedgerProjections(api.pool).publish_ledger(view)

    async with operator.http() as http:
        answer = await http.get(LEDGER)

    assert TypeAdapter(LedgerView).validate_json(answer.content) == view


async def test_a_lease_is_taken_from_the_holder_that_is_meant_and_no_other(
    api: RunningApi, operator: Tenant
) -> None:
    api.fleet.holders[CELL] = "rollout/r1"
    async with operator.http() as http:
        other = await http.post(
            f"{LEDGER}/{CELL}:fence", json={"holder": "rollout/r2", "reason": "it is dead"}
        )
        taken = await http.post(
            f"{LEDGER}/{CELL}:fence", json={"holder": "rollout/r1", "reason": "it is dead"}
        )

    assert other.status_code == 400
    assert f"rollout/r2 has no lease of {CELL}" in other.json()["message"]
    fenced = TypeAdapter(Fenced).validate_json(taken.content)
    assert (fenced.cell, fenced.holder, fenced.by, fenced.reason) == (
        CELL,
        "rollout/r1",
        operator.owner.email,
        "it is dead",
    )
    entries = [r.entry for r in await AuditLog(api.pool).read(operator.account, limit=10)]
    assert [(entry.what, entry.status) for entry in entries] == [
        ("fleet.ledger.fence", "FAILED_PRECONDITION"),
        ("fleet.ledger.fence", "OK"),
    ]
