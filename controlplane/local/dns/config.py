"""What the DNS server is told when it starts."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import dns.name
import dns.tsig


@dataclass(frozen=True)
class DnsConfig:
    """One zone and the address, file and key that go with it; kept as a JSON file."""

    zone: str
    """The zone's name, such as `fleet.test`."""
    listen: str
    """`ip:port`, UDP and TCP."""
    zone_file: str
    """Where the zone is kept; its journal lies beside it. Made when there is none."""
    key_name: str
    """The TSIG key (hmac-sha256) that updates must be signed with."""
    key_file: str
    """Holds that key's secret as Base64."""

    @classmethod
    def from_file(cls, path: Path) -> "DnsConfig":
        """Read the configuration; raise ValueError that names what is missing or unknown."""
        values = json.loads(path.read_text())
        known = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or values.keys() != known:
            raise ValueError(f"{path} must hold an object with exactly {', '.join(sorted(known))}")
        return cls(**values)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    @property
    def origin(self) -> dns.name.Name:
        return dns.name.from_text(self.zone)

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    def read_key(self) -> dns.tsig.Key:
        """Read the update key. Never print it: its representation shows the secret."""
        secret = Path(self.key_file).read_text()
        return dns.tsig.Key(self.key_name, secret, dns.tsig.HMAC_SHA256)
