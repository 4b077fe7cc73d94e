"""A worker that keeps the ledger: `python -m tests.ledger.worker ADDRESS NAMESPACE`."""

import asyncio
import sys

from temporalio.client import Client

from controlplane.payloads import data_converter
from tests.ledger.running import keeping_the_ledger


async def main(address: str, namespace: str) -> None:
    client = await Client.connect(address, namespace=namespace, data_converter=data_converter)
    async with keeping_the_ledger(client):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
