import asyncio
from collections.abc import Mapping, Sequence

import pytest

from controlplane.store.batching import Batched, Recent


class Source:
    """Answers when a test lets it, with the number of the read."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []
        self.failure: Exception | None = None
        self._under_way: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def read(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.asked.append(keys)
        number, end = len(self.asked), asyncio.Event()
        self._under_way.put_nowait(end)
        await end.wait()
        if self.failure is not None:
            raise self.failure
        return {key: number for key in keys if key != "absent"}

    async def begun(self) -> asyncio.Event:
        """Wait for the next read to begin, and return what lets it end."""
        async with asyncio.timeout(60):
            return await self._under_way.get()


async def test_what_is_asked_at_once_is_read_once() -> None:
    source = Source()
    batched = Batched(source.read)
    asked = asyncio.gather(*(batched.get(key) for key in ("a", "b", "a", "absent")))

    (await source.begun()).set()

    assert await asked == [1, 1, 1, None]
    assert source.asked == [("a", "b", "absent")]


async def test_a_question_is_not_answered_by_a_read_that_began_before_it() -> None:
    source = Source()
    batched = Batched(source.read)
    first = asyncio.create_task(batched.get("a"))
    end = await source.begun()

    late = [asyncio.create_task(batched.get(key)) for key in ("a", "b")]
    await asyncio.sleep(0)
    end.set()
    (await source.begun()).set()

    assert await first == 1
    assert [await each for each in late] == [2, 2]


async def test_a_failed_read_fails_those_who_share_it_and_nobody_else() -> None:
    source = Source()
    source.failure = LookupError("the database is away")
    batched = Batched(source.read)
    shared = asyncio.gather(batched.get("a"), batched.get("b"), return_exceptions=True)
    (await source.begun()).set()
    assert [str(failure) for failure in await shared] == ["the database is away"] * 2

    source.failure = None
    again = asyncio.create_task(batched.get("a"))
    (await source.begun()).set()
    assert await again == 2


async def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    source = Source()
    batched = Batched(source.read)
    impatient = asyncio.create_task(batched.get("a"))
    patient = asyncio.create_task(batched.get("a"))
    end = await source.begun()

    impatient.cancel()
    end.set()

    assert await patient == 1
    with pytest.raises(asyncio.CancelledError):
        await impatient


def test_what_was_not_used_for_longest_goes_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1

    recent.put("c", 3)

    assert [recent.get(key) for key in "abc"] == [1, None, 3]
