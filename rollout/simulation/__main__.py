"""A simulation as a process: reads a Simulation as JSON, writes a Forecast as JSON."""

import asyncio
import logging
import os
import sys

from pydantic import TypeAdapter

from rollout.simulation.run import forecast
from rollout.simulation.types import Forecast, Simulation

SIMULATION = TypeAdapter(Simulation)
FORECAST = TypeAdapter(Forecast)


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    # What the engine says goes elsewhere: it would stand between us and whoever reads the forecast.
    answer = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    simulation = SIMULATION.validate_json(sys.stdin.buffer.read())
    with os.fdopen(answer, "wb") as told:
        told.write(FORECAST.dump_json(asyncio.run(forecast(simulation))))
    # Python before 3.14 can abort at exit after it has used the SDK's client.
    os._exit(0)


if __name__ == "__main__":
    main()
