"""What a run that did not end by itself has left in the cloud, as far as its words tell."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cells.ingress.durable_file import replace_file

_FILE = "left.json"


@dataclass(frozen=True)
class Left:
    """Terraform writes a remote state every twenty seconds only: what is here may not be in it."""

    begun: frozenset[str] = frozenset()
    """Addresses that were being made."""
    made: dict[str, str] = field(default_factory=dict)
    """Addresses that were made, and their ids."""

    def __bool__(self) -> bool:
        return bool(self.begun or self.made)

    @classmethod
    def read(cls, folder: Path) -> "Left":
        try:
            known = json.loads((folder / _FILE).read_bytes())
        except FileNotFoundError:
            return cls()
        return cls(frozenset(known["begun"]), known["made"])

    def note(self, folder: Path) -> None:
        """Remember it, beside what is remembered already."""
        known = Left.read(folder)
        whole = Left(known.begun | self.begun, {**known.made, **self.made})
        if whole:
            record = {**asdict(whole), "begun": sorted(whole.begun)}
            replace_file(folder / _FILE, json.dumps(record).encode())

    @staticmethod
    def forget(folder: Path) -> None:
        (folder / _FILE).unlink(missing_ok=True)
