"""The Fleet API's paths about releases: made once, read for ever."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends

from cells.release import Release, check_release
from controlplane.api.numbered_pages import numbered_page
from controlplane.api.operator_calls import OperatorCalls, actor
from controlplane.api.paging import DEFAULT_PAGE_SIZE
from controlplane.api.rollout_types import NewRelease, ReleaseDetails, ReleasePage
from controlplane.api.strict_body import KeepableText
from controlplane.errors import invalid_argument, not_found
from controlplane.identity.types import Principal
from controlplane.store.releases import KeptRelease, Releases

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ReleaseRoutes:
    calls: OperatorCalls
    releases: Releases

    def router(self, caller: Callable[..., Awaitable[Principal]]) -> APIRouter:
        """Return the paths; `caller` is the dependency that says who is calling."""
        Caller = Annotated[Principal, Depends(caller)]
        router = APIRouter(prefix="/fleet/v1/releases")

        @router.post("")
        async def create(caller: Caller, wanted: NewRelease) -> ReleaseDetails:
            """Keep a release. Repeated with the same content, it is answered as the first time."""

            async def keep() -> ReleaseDetails:
                release = wanted.release()
                await self._check(release)
                return _details(await self.releases.create(release, actor(caller)))

            return await self.calls.change(caller, "fleet.releases.create", wanted, keep)

        @router.get("")
        async def releases(
            caller: Caller,
            page_size: int = DEFAULT_PAGE_SIZE,
            page_token: KeepableText = "",
        ) -> ReleasePage:
            """Return the releases, newest first."""
            await self.calls.reading(caller, "fleet.releases.read")
            page, following = await numbered_page(
                "releases",
                page_size,
                page_token,
                lambda before, limit: self.releases.page(before=before, limit=limit),
            )
            return ReleasePage(tuple(map(_details, page)), following)

        @router.get("/{release}")
        async def release(caller: Caller, release: KeepableText) -> ReleaseDetails:
            """Return one release."""
            await self.calls.reading(caller, "fleet.releases.read")
            return _details(await known_release(self.releases, release))

        return router

    async def _check(self, release: Release) -> None:
        try:
            check_release(release)
        except ValueError as error:
            raise invalid_argument(str(error)) from None
        for file, digest in release.artifacts.items():
            if not _SHA256.fullmatch(digest):
                raise invalid_argument(
                    f"the artifact {file!r} has {digest[:100]!r}, which is no SHA-256: write 64 "
                    "hexadecimal digits, in lower case"
                )
        for what, name in (("patch_of", release.patch_of), ("finalizes", release.finalizes)):
            if name and await self.releases.get(name) is None:
                raise invalid_argument(f"{what} is {name!r}, and there is no such release")


async def known_release(releases: Releases, name: str) -> KeptRelease:
    """Return the release; raise `not_found` when there is none of that name."""
    kept = await releases.get(name)
    if kept is None:
        raise not_found(f"release {name!r} not found: `controlplane release list` shows them all")
    return kept


def _details(kept: KeptRelease) -> ReleaseDetails:
    return ReleaseDetails(kept.release, kept.release.digest, kept.created_at, kept.created_by)
