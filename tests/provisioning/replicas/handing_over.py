"""A process that hands a namespace over, to be killed: HOME NAMESPACE UID."""

import asyncio
import sys
from pathlib import Path

from controlplane.local.cells import CELLS
from controlplane.local.home import Home
from provisioning.ports import Incarnation
from tests.pair import Pair, PairedCell
from tests.provisioning.replicas.tenancy import Tenancy, replication_of


async def main(path: str, namespace: str, uid: str) -> None:
    home = Home(Path(path))
    pair = Pair(home, [PairedCell(home, cell) for cell in CELLS[1:3]])
    here = Incarnation(namespace, uid, pair.cells[0].id)
    tenancy = Tenancy(pair, replication_of(pair), here)
    await tenancy.hand_over(tenancy.here, tenancy.there)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
