"""Examines a cell from outside: its parts, its hosts, and a canary through its ingress."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from cells.ports import CellObserver
from cells.runtime.deep_health import ask_deep_health
from cells.runtime.ports import Canary
from cells.types import CellSpec

CANARY_SECONDS = 30.0
"""There and back, what it needs in a cell that it is new to included."""


@dataclass(frozen=True)
class AddressExaminer:
    """Finds a cell well when all its parts answer and a client gets its work done."""

    observer: CellObserver
    canary: Canary

    async def examine(self, cell: str, spec: CellSpec) -> Sequence[str]:
        health, canary = await asyncio.gather(self.health(cell, spec), self.canaries(cell, spec))
        return [*health, *canary]

    async def health(self, cell: str, spec: CellSpec) -> Sequence[str]:
        observed, deep = await asyncio.gather(
            self.observer.observe(cell, spec), _deep_problems(spec.addresses.frontend)
        )
        if observed.server_version is None:
            deep = []  # That the server does not answer is said already.
        return [*observed.problems, *deep]

    async def canaries(self, cell: str, spec: CellSpec) -> Sequence[str]:
        flight = asyncio.wait_for(self.canary.fly(cell, spec), CANARY_SECONDS)
        # Whatever kept it from coming back is what we want to know.
        (outcome,) = await asyncio.gather(flight, return_exceptions=True)
        match outcome:
            case None:
                return []
            case TimeoutError() if not str(outcome):
                return [f"the canary did not come back within {CANARY_SECONDS:g} s"]
            case _:
                return [f"the canary did not come back: {str(outcome) or type(outcome).__name__}"]


async def _deep_problems(frontend: str) -> list[str]:
    try:
        problems = await ask_deep_health(frontend)
    except grpc.aio.AioRpcError as error:
        problems = [error.details() or error.code().name]
    return [f"deep health: {problem}" for problem in problems]
