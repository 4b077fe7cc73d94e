"""What is made of the records, kept until something that goes into it has changed."""

import hashlib
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from google.protobuf.message import Message

T = TypeVar("T", bound=Hashable)
_M = TypeVar("_M", bound=Message)


class Derived(Generic[T, _M]):
    """Made anew only when its basis is another one: most changes of records do not touch it."""

    def __init__(self, basis: Callable[[], T], make: Callable[[T], _M]) -> None:
        self._basis = basis
        self._make = make
        self._made: tuple[T, str, _M] | None = None

    def current(self) -> tuple[str, _M]:
        """Return its version and content."""
        basis = self._basis()
        if self._made is None or self._made[0] != basis:
            content = self._make(basis)
            version = hashlib.sha256(content.SerializeToString(deterministic=True)).hexdigest()
            self._made = basis, version, content
        return self._made[1], self._made[2]
