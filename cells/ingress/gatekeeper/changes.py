"""What changed since somebody last looked: followers are told, and miss nothing."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Changes:
    """The names of what changed since they were last taken: none is missed."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._some = asyncio.Event()

    def add(self, names: Iterable[str]) -> None:
        self._names.update(names)
        self._some.set()

    async def take(self) -> set[str]:
        """Return them, waiting for the first."""
        await self._some.wait()
        self._some.clear()
        names, self._names = self._names, set()
        return names


class Followers:
    """Those who follow one table's changes."""

    def __init__(self) -> None:
        self._followers: set[Changes] = set()

    @contextmanager
    def following(self) -> Iterator[Changes]:
        """Collect the changes from here on."""
        changes = Changes()
        with self.into(changes):
            yield changes

    @contextmanager
    def into(self, changes: Changes) -> Iterator[None]:
        """Collect the changes from here on among these."""
        self._followers.add(changes)
        try:
            yield
        finally:
            self._followers.remove(changes)

    def tell(self, names: Iterable[str]) -> None:
        told = list(names)
        for follower in self._followers:
            follower.add(told)
