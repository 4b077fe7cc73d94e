"""One record of a zone, and what a dynamic update may require of it (RFC 2136, 2.4)."""

from dataclasses import dataclass

import dns.name
import dns.update
from dns.rdatatype import RdataType


@dataclass(frozen=True)
class Record:
    name: dns.name.Name
    type: RdataType
    data: str
    """As zone files write it."""

    def __str__(self) -> str:
        name = self.name.canonicalize().to_text(omit_final_dot=True)
        return f"{name} is {RdataType.to_text(self.type)} {self.data}"

    # Conditions of an update: the server refuses it when one does not hold.

    def is_there(self, update: dns.update.UpdateMessage) -> None:
        """Require exactly this record, and no other of its type."""
        update.present(self.name, self.type, self.data)

    def type_is_there(self, update: dns.update.UpdateMessage) -> None:
        update.present(self.name, self.type)

    def type_is_absent(self, update: dns.update.UpdateMessage) -> None:
        """Require that the name has no record of the type."""
        update.absent(self.name, self.type)

    def name_is_unused(self, update: dns.update.UpdateMessage) -> None:
        update.absent(self.name)
