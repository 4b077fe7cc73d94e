"""Many small reads as few large ones."""

import asyncio
from collections import OrderedDict
from collections.abc import (
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Batched(Generic[Key, Value]):
    """Answers together what is asked while an earlier read is under way.

    The read that answers a question begins after the question was put. So an answer is never older
    than what was committed by then, however many share it: unlike a cache, this shows through
    neither in what one caller reads after another, nor in what it reads after its own write.
    """

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]) -> None:
        """`read` returns what there is; keys that it leaves out are answered with None."""
        self._read = read
        self._asked: dict[Key, list[asyncio.Future[Value | None]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: Key) -> Value | None:
        answer: asyncio.Future[Value | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(key, []).append(answer)
        if self._reading is None:
            # Begins with the loop's next turn, and so takes along all that is asked in this one.
            self._reading = asyncio.create_task(self._read_while_asked())
        return await answer

    async def _read_while_asked(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                await self._answer(asked)
        finally:
            self._reading = None

    async def _answer(self, asked: Mapping[Key, list[asyncio.Future[Value | None]]]) -> None:
        try:
            found = await self._read(tuple(asked))
        except Exception as error:  # noqa: BLE001 - raised where the questions were put
            for answer in _open(asked.values()):
                answer.set_exception(error)
        except asyncio.CancelledError:
            for answer in _open(asked.values()):
                answer.cancel()
            raise
        else:
            for key, answers in asked.items():
                for answer in _open([answers]):
                    answer.set_result(found.get(key))


def _open(
    answers: Iterable[Iterable[asyncio.Future[Value | None]]],
) -> Iterator[asyncio.Future[Value | None]]:
    """Yield the answers that somebody still waits for."""
    return (answer for group in answers for answer in group if not answer.done())


class Recent(Generic[Key, Value]):
    """Holds what was used last, up to a number of entries."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: Key, value: Value) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)
