"""Building and dismantling with real Terraform, and what becomes of it when somebody dies."""

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from temporalio.exceptions import ApplicationError

from cells.infrastructure.failures import StateLocked, TerraformFailed
from cells.infrastructure.terraform import TerraformInfrastructure
from cells.life.ports import PlannedChanges
from cells.providers.types import Foundation
from tests.eventually import eventually
from tests.terraform.provider.pretended_cloud import Fault
from tests.terraform.small_cells import (
    ACCOUNT,
    BLUEPRINT,
    MODULES,
    SECRET,
    WHOLE,
    SmallAccess,
    small_infrastructure,
)
from tests.terraform.stand_in import StandIn, stand_in
from tests.terraform.state_server import StateServer, running_state_server

# The first test on a machine fetches Terraform and the schemas of its providers.
pytestmark = pytest.mark.timeout(900)

_PATIENCE_SECONDS = 120
_MARK = "CONTROLPLANE_TERRAFORM_RUN"
_ADAS_LOCK = {
    "ID": "8d9f5a52-0d55-7b0c-9b6e-6b0e3a9b1a11",
    "Operation": "OperationTypeApply",
    "Who": "ada@laptop",
    "Created": "2026-11-22T12:00:00Z",
}
_CELL = f"{BLUEPRINT.cell}-{BLUEPRINT.uid}"


@dataclass
class Stage:
    """One small cell, to be built and taken down."""

    terraform: StandIn
    state: StateServer
    folder: Path
    """Where the cells have their working folders."""
    hold: Path
    """While this file exists, what is held is not answered."""
    told: list[str] = field(default_factory=list)

    patience: timedelta = timedelta()
    """How long the lock of somebody else is waited for."""

    def infrastructure(self, access: SmallAccess | None = None) -> TerraformInfrastructure:
        access = access or SmallAccess(self.state.backend(_CELL))
        return small_infrastructure(self.terraform.program, self.folder, access, self.patience)

    async def progress(self, text: str) -> None:
        self.told.append(text)

    async def build(self, access: SmallAccess | None = None) -> Foundation:
        return await self.infrastructure(access).build(BLUEPRINT, ACCOUNT, self.progress)

    async def dismantle(self) -> None:
        await self.infrastructure().dismantle(BLUEPRINT, ACCOUNT, self.progress)

    async def plan(self, access: SmallAccess | None = None) -> PlannedChanges:
        return await self.infrastructure(access).plan(BLUEPRINT, ACCOUNT)

    def hold_cluster(self) -> None:
        """Let the cloud make clusters, and not say so for as long as the file is there."""
        self.hold.touch()
        self.terraform.cloud.fail({"aws_eks_cluster": Fault(held=str(self.hold))})

    async def until_cluster_is_there(self) -> None:
        async def there() -> bool:
            return "aws_eks_cluster" in self.terraform.cloud.resources()

        await eventually(there, within=_PATIENCE_SECONDS)

    def processes(self) -> list[psutil.Process]:
        """Return Terraform and its providers, of a run of this test."""
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
                if _MARK in environment and process.cwd().startswith(str(self.folder)):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    terraform = stand_in(tmp_path / "terraform", [MODULES])
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", terraform.env["TF_CLI_CONFIG_FILE"])
    monkeypatch.setenv("HOME", terraform.env["HOME"])
    with running_state_server() as state:
        stage = Stage(terraform, state, tmp_path / "cells", tmp_path / "hold")
        yield stage
        for process in stage.processes():
            process.kill()


async def test_a_cell_is_built_once_and_dismantled_without_a_trace(stage: Stage) -> None:
    foundation = await stage.build()

    assert stage.terraform.cloud.census() == WHOLE
    assert foundation.account == ACCOUNT
    assert foundation.cluster.name == f"cell-{BLUEPRINT.uid}"
    assert foundation.cluster.ca.startswith("-----BEGIN CERTIFICATE-----")
    assert foundation.database.endswith(":5432")
    assert any(line.endswith(": 5 to add, 0 to change, 0 to destroy") for line in stage.told)
    assert "aws_eks_cluster.this: creating" in stage.told

    stage.told.clear()
    assert await stage.build() == foundation
    assert stage.told[-1].endswith(": 0 to add, 0 to change, 0 to destroy")

    await stage.dismantle()
    assert stage.terraform.cloud.resources() == {}
    assert stage.state.locks == {}
    assert not (stage.folder / _CELL).exists()
    await stage.dismantle()


async def test_what_would_destroy_is_refused_by_name(stage: Stage) -> None:
    await stage.build()
    access = SmallAccess(stage.state.backend(_CELL), {"network": "10.8.0.0/16"})

    planned = await stage.plan(access)
    with pytest.raises(ApplicationError, match="would destroy or replace") as refused:
        await stage.build(access)

    assert sorted(planned.destroyed) == ["aws_subnet.this", "aws_vpc.this"]
    assert refused.value.type == "Rejected"
    assert "aws_vpc.this" in str(refused.value)
    assert stage.terraform.cloud.census() == WHOLE


async def test_a_build_whose_terraform_and_caller_are_killed_is_made_whole_by_the_next(
    stage: Stage,
) -> None:
    stage.hold_cluster()
    caller = await _start_building(stage)
    await stage.until_cluster_is_there()
    caller.kill()
    await caller.wait()
    for process in stage.processes():
        process.kill()
    (lock,) = stage.state.locks.values()
    stage.hold.unlink()

    foundation = await stage.build()

    assert foundation.cluster.name == f"cell-{BLUEPRINT.uid}"
    assert stage.terraform.cloud.census() == WHOLE
    assert any(lock["ID"] in line for line in stage.told if line.startswith("releasing the lock"))
    assert any("aws_eks_cluster.this: is there already" in line for line in stage.told)
    assert (await stage.plan()).is_empty


async def test_a_terraform_that_outlives_its_caller_is_followed_to_its_end(stage: Stage) -> None:
    stage.hold_cluster()
    caller = await _start_building(stage)
    await stage.until_cluster_is_there()
    caller.kill()
    await caller.wait()

    building = asyncio.create_task(stage.build())

    async def followed() -> bool:
        return any("was not seen to end" in line for line in stage.told)

    await eventually(followed, within=_PATIENCE_SECONDS)
    stage.hold.unlink()
    await building

    assert stage.terraform.cloud.census() == WHOLE
    assert not any("is there already" in line for line in stage.told)


async def test_a_cancelled_build_leaves_nothing_running_and_is_taken_up_again(stage: Stage) -> None:
    stage.hold_cluster()
    building = asyncio.create_task(stage.build())
    await stage.until_cluster_is_there()
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building

    assert not stage.processes()
    assert stage.state.locks == {}
    made = stage.terraform.cloud.resources()["aws_eks_cluster"]
    stage.hold.unlink()

    await stage.build()

    assert stage.terraform.cloud.resources()["aws_eks_cluster"] == made
    assert stage.terraform.cloud.census() == WHOLE
    assert any("aws_eks_cluster.this: was being made; it is kept" in line for line in stage.told)


async def test_what_failed_in_the_making_is_made_anew(stage: Stage) -> None:
    stage.terraform.cloud.fail({"aws_iam_role": Fault(broken="CREATE_FAILED", times=1)})
    with pytest.raises(TerraformFailed, match=r"aws_iam_role\.this: .*CREATE_FAILED"):
        await stage.build()

    await stage.build()

    assert stage.terraform.cloud.census() == WHOLE


async def test_a_half_built_cell_is_dismantled_without_building_the_rest(stage: Stage) -> None:
    denied = "api error AccessDenied: not authorized to perform: eks:CreateCluster"
    stage.terraform.cloud.fail({"aws_eks_cluster": Fault(refused=denied)})
    with pytest.raises(ApplicationError, match="eks:CreateCluster") as refused:
        await stage.build()
    assert refused.value.type == "Rejected"
    assert "aws_eks_cluster.this" in str(refused.value)
    assert "aws_db_instance" in stage.terraform.cloud.resources()
    stage.told.clear()

    await stage.dismantle()

    assert stage.terraform.cloud.resources() == {}
    assert not [line for line in stage.told if "creat" in line]


async def test_the_lock_of_somebody_else_is_respected_and_told(stage: Stage) -> None:
    stage.state.locks[_CELL] = _ADAS_LOCK

    with pytest.raises(StateLocked, match=r"ada@laptop \(apply since 2026-11-22") as refused:
        await stage.build()

    assert f"force-unlock {_ADAS_LOCK['ID']}" in str(refused.value)
    assert stage.state.locks == {_CELL: _ADAS_LOCK}
    assert stage.terraform.cloud.resources() == {}


async def test_the_lock_of_somebody_else_is_waited_for(stage: Stage) -> None:
    stage.state.locks[_CELL] = _ADAS_LOCK
    stage.patience = timedelta(seconds=_PATIENCE_SECONDS)
    building = asyncio.create_task(stage.build())

    async def waiting() -> bool:
        return any("locked by ada@laptop" in line for line in stage.told)

    await eventually(waiting, within=_PATIENCE_SECONDS)
    stage.state.locks.clear()
    await building

    assert stage.terraform.cloud.census() == WHOLE


async def test_a_variable_that_the_module_does_not_have_is_named(stage: Stage) -> None:
    access = SmallAccess(stage.state.backend(_CELL), {"colour": "blue"})

    with pytest.raises(ApplicationError, match="no variable colour"):
        await stage.build(access)


async def test_secrets_are_in_no_argument_no_file_and_no_error(stage: Stage) -> None:
    stage.hold_cluster()
    building = asyncio.create_task(stage.build())
    await stage.until_cluster_is_there()
    arguments = json.dumps([process.cmdline() for process in stage.processes()])
    variables = stage.folder / _CELL / "terraform.tfvars.json"
    assert variables.stat().st_mode & 0o777 == 0o600
    assert (stage.folder / _CELL).stat().st_mode & 0o777 == 0o700
    stage.hold.unlink()
    await building
    stage.terraform.cloud.fail(
        {"aws_iam_role": Fault(operation="update", refused=f"bad signature for {SECRET}")}
    )
    stage.terraform.cloud.change(
        "aws_iam_role", f"cell-{BLUEPRINT.uid}", {"assume_role_policy": "{}"}
    )

    with pytest.raises(TerraformFailed, match=r"bad signature for \[hidden\]") as failed:
        await stage.build()

    assert "terraform" in arguments
    kept = [file.read_bytes() for file in stage.folder.rglob("*") if file.is_file()]
    everything = [arguments, *stage.told, str(failed.value), *map(repr, kept)]
    assert not [text for text in everything if SECRET in text]
    assert SECRET.encode() not in b"".join(stage.state.states.values())


async def _start_building(stage: Stage) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.terraform.small_build", str(stage.terraform.program)),
        *(str(stage.folder), json.dumps(stage.state.backend(_CELL))),
        stdout=asyncio.subprocess.DEVNULL,
    )
