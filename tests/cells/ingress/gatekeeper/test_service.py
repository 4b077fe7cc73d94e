import asyncio
import json
import socket
import sys
from dataclasses import asdict, replace
from pathlib import Path

from controlplane.local.ports import LOOPBACK
from tests.cells.ingress.small_cell import prepared_cell
from tests.postgres import RunningPostgres


async def test_a_gatekeeper_shares_its_port_with_nobody(
    postgres: RunningPostgres, tmp_path: Path
) -> None:
    async with prepared_cell(postgres, tmp_path, f"{LOOPBACK}:1") as cell:
        with socket.create_server((LOOPBACK, 0), reuse_port=True) as obliging:
            port = obliging.getsockname()[1]
            config = replace(cell.gatekeeper, health_listen=f"{LOOPBACK}:{port}")
            file = tmp_path / "gatekeeper.json"
            file.write_text(json.dumps(asdict(config), default=str))

            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cells.ingress.gatekeeper", str(file)),
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                _, said = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()

    assert process.returncode != 0
    assert f"{LOOPBACK}:{port}" in said.decode()
