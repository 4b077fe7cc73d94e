"""What a peer says of a cell that it replicates from, and when it says nothing."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from cells.replication.memory import MemoryLinks
from cells.replication.types import LinkHealth
from cells.types import CellView
from provisioning.automatic.hearsay import LinkedPeers
from provisioning.automatic.types import Ballot
from tests.engine import cell_spec, cell_view

A, B, C = "aws-us-east-1-c1", "aws-us-west-2-c1", "gcp-europe-north1-c1"


@pytest.fixture
async def links() -> MemoryLinks:
    """Three cells, of which two are joined."""
    links = MemoryLinks(known=[joinable(cell, n) for n, cell in enumerate((A, B, C), start=1)])
    await links.join(A, B)
    return links


def joinable(cell: str, failover_version: int) -> CellView:
    spec = cell_spec(cell.rpartition("-")[0])
    addresses = replace(spec.addresses, replication={"": f"{cell}:7233"})
    return cell_view(cell, replace(spec, addresses=addresses, failover_version=failover_version))


async def test_a_peer_that_gets_what_happens_says_the_cell_is_well(links: MemoryLinks) -> None:
    said = await LinkedPeers(links).ask(B, A)

    assert (said.cell, said.peer, said.ballot) == (A, B, Ballot.WELL)


async def test_a_peer_that_gets_nothing_says_the_cell_is_lost(links: MemoryLinks) -> None:
    links.silent = {A}

    said = await LinkedPeers(links).ask(B, A)

    assert said.ballot is Ballot.LOST
    assert said.why == f"cell {A} does not answer"


async def test_a_peer_that_does_not_answer_itself_abstains(links: MemoryLinks) -> None:
    links.silent = {B}

    said = await LinkedPeers(links).ask(B, A)

    assert said.ballot is Ballot.ABSTAINS
    assert said.why == f"cannot be asked: cell {B} does not answer"


async def test_a_cell_that_does_not_replicate_from_another_says_nothing_of_it(
    links: MemoryLinks,
) -> None:
    said = await LinkedPeers(links).ask(C, A)

    assert (said.ballot, said.why) == (Ballot.ABSTAINS, f"does not replicate from {A}")


@dataclass
class SlowLinks(MemoryLinks):
    """Never gets to an end."""

    async def health(self, cell: str, peer: str) -> LinkHealth:
        await asyncio.Event().wait()
        return await super().health(cell, peer)


async def test_a_peer_that_takes_too_long_abstains(links: MemoryLinks) -> None:
    slow = SlowLinks(**vars(links))

    said = await LinkedPeers(slow, answer_within=timedelta(milliseconds=10)).ask(B, A)

    assert (said.ballot, said.why) == (Ballot.ABSTAINS, "could not tell within 0.01 s")


@dataclass
class RememberedLinks(MemoryLinks):
    """Tells what it saw an hour ago."""

    async def health(self, cell: str, peer: str) -> LinkHealth:
        seen = await super().health(cell, peer)
        return replace(seen, at=seen.at - timedelta(hours=1))


async def test_what_was_seen_long_ago_says_nothing(links: MemoryLinks) -> None:
    said = await LinkedPeers(RememberedLinks(**vars(links))).ask(B, A)

    assert (said.ballot, said.why) == (Ballot.ABSTAINS, "was last looked at 3600 s ago")
