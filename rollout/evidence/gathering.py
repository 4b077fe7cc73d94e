"""Asks every gate, side by side; one that cannot be asked is a reading without data."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from rollout.evidence.ports import GateAsker, NoEvidence
from rollout.gates import QUERIED, Evidence, Gate, GateKind, Reading, Verdict
from rollout.ports import WatchedCells

NAMED_CELLS = 20
"""How many cells that did not pass one gate are named: evidence becomes part of histories."""

_ASKER_SECONDS = 180.0
_MESSAGE_CHARACTERS = 300

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GatesEvidence:
    """Asks gates by their kind: `rollout.ports.EvidenceSource`."""

    askers: Mapping[GateKind, GateAsker]
    """Gates whose kinds have the same one are asked together."""

    async def gather(self, watched: WatchedCells) -> Evidence:
        together: dict[int, list[Gate]] = {}
        for gate in watched.gates:
            together.setdefault(id(self.askers.get(gate.kind)), []).append(gate)
        asked = await asyncio.gather(*(self._ask(gates, watched) for gates in together.values()))
        readings = [reading for of_asker in asked for reading in of_asker]
        few = (_few([r for r in readings if r.gate == gate.name]) for gate in watched.gates)
        return Evidence(watched.since, watched.until, tuple(r for of_gate in few for r in of_gate))

    async def _ask(self, gates: Sequence[Gate], watched: WatchedCells) -> Sequence[Reading]:
        asker = self.askers.get(gates[0].kind)
        if asker is None:
            return [_no_data(gate, _nobody(gate)) for gate in gates]
        try:
            async with asyncio.timeout(_ASKER_SECONDS):
                return await asker.ask(gates, watched)
        except NoEvidence as why:
            return [_no_data(gate, str(why)) for gate in gates]
        except TimeoutError:
            message = f"was not answered within {_ASKER_SECONDS:g} s: see what is slow"
            return [_no_data(gate, message) for gate in gates]
        except Exception as error:  # noqa: BLE001 - a flaw in one gate must not hide the others.
            _log.exception("gates cannot be asked: %s", ", ".join(gate.name for gate in gates))
            message = f"cannot be asked: {type(error).__name__}: {error}"
            return [_no_data(gate, message) for gate in gates]


def _nobody(gate: Gate) -> str:
    if gate.kind in QUERIED:
        return (
            "there is no Prometheus to ask: set CONTROLPLANE_PROMETHEUS_URL for the workers, or "
            "start the rollout without this gate"
        )
    return f"nothing here answers gates of kind {gate.kind}: start the rollout without this gate"


def _no_data(gate: Gate, message: str) -> Reading:
    return Reading(gate.name, "", Verdict.NO_DATA, timedelta(0), message)


def _few(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings of a gate, those that did not pass up to a number of each verdict."""
    few = [_short(reading) for reading in readings if reading.verdict is Verdict.PASS]
    for verdict in Verdict:
        others = [r for r in readings if r.verdict is verdict and verdict is not Verdict.PASS]
        few += map(_short, others[:NAMED_CELLS])
        if len(others) > NAMED_CELLS:
            message = f"and {len(others) - NAMED_CELLS} more cells"
            few.append(replace(others[0], cell="", message=message))
    return few


def _short(reading: Reading) -> Reading:
    if len(reading.message) <= _MESSAGE_CHARACTERS:
        return reading
    return replace(reading, message=reading.message[: _MESSAGE_CHARACTERS - 1] + "…")
