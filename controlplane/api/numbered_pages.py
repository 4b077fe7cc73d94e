"""Pages of what is numbered as it comes to be, the newest first."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from controlplane.api.paging import foreign, page_size, page_start, page_token

_NUMBER = re.compile(r"\d{1,18}")


class Numbered(Protocol):
    @property
    def number(self) -> int: ...


Entry = TypeVar("Entry", bound=Numbered)


async def numbered_page(
    listing: str,
    size: int,
    token: str,
    read: Callable[[int | None, int], Awaitable[Sequence[Entry]]],
) -> tuple[Sequence[Entry], str]:
    """Return the token's page of a listing, and the token of the next one, empty if there is none.

    `read` takes the number that all entries are below, None for the first page, and how many to
    return at most.
    """
    most = page_size(size)
    start = page_start(listing, token)
    if start and not _NUMBER.fullmatch(start):
        raise foreign(token)
    # One more than asked for tells whether there is another page.
    found = await read(int(start) if start else None, most + 1)
    page, more = found[:most], len(found) > most
    return page, page_token(listing, str(page[-1].number)) if more else ""
