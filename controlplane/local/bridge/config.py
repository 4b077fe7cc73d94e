"""What a bridge has to be told: its JSON file."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class BridgeConfig:
    """Whose bridge it is, and where each peer finds it."""

    cell: str
    """The cell's id, which is what its peers call it."""
    frontend: str
    """The cell's Temporal server, `host:port`."""
    listen: dict[str, str]
    """By peer's id, `host:port`, for that peer alone: each calls itself by the same name."""

    @classmethod
    def load(cls, path: Path) -> "BridgeConfig":
        """Read the file; a missing or unknown setting raises ValueError naming it."""
        values = json.loads(path.read_text())
        names = {field.name for field in fields(cls)}
        if wrong := names.symmetric_difference(values):
            raise ValueError(
                f"{path} must have exactly the settings {', '.join(sorted(names))}; "
                f"missing or unknown: {', '.join(sorted(wrong))}"
            )
        return cls(**values)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)
