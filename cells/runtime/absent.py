"""No runtime: a worker that may not change the servers of any cell."""

from collections.abc import Sequence

from cells.release import Release, SchemaStep, Software
from cells.runtime.ports import Deployed
from cells.types import CellSpec
from controlplane.errors import rejected

_WHY = (
    "this worker has nothing to change servers with: run one that has a runtime for the cell's "
    "region (for the cells of an embedded fleet, CONTROLPLANE_RUNTIME_HOME names the home)"
)


class AbsentRuntime:
    """Refuses every visit at its preflight: `cells.runtime.ports.CellRuntime`."""

    async def running(self, cell: str, spec: CellSpec) -> Software:
        return Software(spec.server_version)

    async def obstacles(self, cell: str, spec: CellSpec, release: Release) -> Sequence[str]:
        return [_WHY]

    async def migrate_schema(
        self, cell: str, spec: CellSpec, steps: Sequence[SchemaStep], generation: int
    ) -> None:
        raise rejected(_WHY)

    async def deploy(
        self, cell: str, spec: CellSpec, software: Software, generation: int
    ) -> Deployed:
        raise rejected(_WHY)
