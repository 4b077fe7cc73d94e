"""A secret store that forgets everything with its process, for tests."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class MemorySecretStore:
    values: dict[str, bytes] = field(default_factory=dict, repr=False)

    async def put(self, name: str, value: bytes) -> None:
        self.values[name] = value

    async def get(self, name: str) -> bytes | None:
        return self.values.get(name)

    async def delete(self, name: str) -> None:
        self.values.pop(name, None)

    async def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.values if name.startswith(prefix))
