"""Run a cell's gatekeeper: `python -m cells.ingress.gatekeeper CONFIG.json`."""

import asyncio
import sys
from pathlib import Path

from cells.ingress.gatekeeper import log
from cells.ingress.gatekeeper.config import GatekeeperConfig
from cells.ingress.gatekeeper.service import run


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m cells.ingress.gatekeeper CONFIG.json")
    try:
        config = GatekeeperConfig.load(Path(sys.argv[1]))
    except (OSError, ValueError) as error:
        sys.exit(f"cannot read the configuration: {error}")
    log.configure(config.cell)
    asyncio.run(run(config))


if __name__ == "__main__":
    main()
