"""A simulation as a process: reads a Simulation as JSON, writes a Forecast as JSON."""

import logging
import sys

from pydantic import TypeAdapter

from rollout.simulation.run import forecast
from rollout.simulation.types import Forecast, Simulation

SIMULATION = TypeAdapter(Simulation)
FORECAST = TypeAdapter(Forecast)


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    simulation = SIMULATION.validate_json(sys.stdin.buffer.read())
    sys.stdout.buffer.write(FORECAST.dump_json(forecast(simulation)))


if __name__ == "__main__":
    main()
