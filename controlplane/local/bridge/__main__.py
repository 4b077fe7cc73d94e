"""Run a cell's bridge: `python -m controlplane.local.bridge CONFIG.json`."""

import asyncio
import logging
import sys
from pathlib import Path

from controlplane.local.bridge.config import BridgeConfig
from controlplane.local.bridge.server import run


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m controlplane.local.bridge CONFIG.json")
    try:
        config = BridgeConfig.load(Path(sys.argv[1]))
    except (OSError, ValueError) as error:
        sys.exit(f"cannot read the configuration: {error}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(run(config))


if __name__ == "__main__":
    main()
