"""One JSON object per log line."""

import json
import logging
import sys
from datetime import UTC, datetime


def configure(cell: str) -> None:
    """Log to standard error from now on, each line naming the cell."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(cell))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class JsonLines(logging.Formatter):
    """Writes the message as `event`, beside what `extra={"fields": {…}}` says of it."""

    def __init__(self, cell: str) -> None:
        super().__init__()
        self._cell = cell

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "cell": self._cell,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)
