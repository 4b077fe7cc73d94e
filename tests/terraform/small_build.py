"""Builds a small cell in a process of its own, which tests kill:
`python -m tests.terraform.small_build <terraform> <folder> <backend as JSON>`."""

import asyncio
import json
import sys
from pathlib import Path

from tests.terraform.small_cells import ACCOUNT, BLUEPRINT, SmallAccess, small_infrastructure


async def main(program: Path, folder: Path, backend: dict[str, str]) -> None:
    async def told(text: str) -> None:
        print(text, flush=True)

    infrastructure = small_infrastructure(program, folder, SmallAccess(backend))
    await infrastructure.build(BLUEPRINT, ACCOUNT, told)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])))
