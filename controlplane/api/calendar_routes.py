"""The Fleet API's paths about the calendar: change windows, freezes, incidents."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from pydantic import JsonValue, TypeAdapter

from controlplane.api.changes import note_change
from controlplane.api.operator_calls import OperatorCalls, actor
from controlplane.api.operator_types import CalendarDetails, NewBlocker, NewCalendar
from controlplane.api.strict_body import KeepableText
from controlplane.errors import already_exists, invalid_argument
from controlplane.identity.types import Principal
from controlplane.store.calendars import Calendars, KeptCalendar
from rollout.calendar import Blocker, Calendar, check_calendar

_CALENDAR = TypeAdapter(Calendar)
_ETAG = re.compile(r'"?(\d{1,18})"?')


@dataclass(frozen=True)
class CalendarRoutes:
    calls: OperatorCalls
    calendars: Calendars

    def router(self, caller: Callable[..., Awaitable[Principal]]) -> APIRouter:
        """Return the paths; `caller` is the dependency that says who is calling."""
        Caller = Annotated[Principal, Depends(caller)]
        router = APIRouter(prefix="/fleet/v1/calendar")

        @router.get("")
        async def calendar(caller: Caller, response: Response) -> CalendarDetails:
            """Return the calendar, with its revision as the `ETag`."""
            await self.calls.reading(caller, "fleet.calendar.read")
            return _tagged(response, await self.calendars.read())

        @router.put("")
        async def set_calendar(
            caller: Caller,
            response: Response,
            wanted: NewCalendar,
            if_match: Annotated[str | None, Header()] = None,
        ) -> CalendarDetails:
            """Replace the change windows and freezes. Incidents stay as they are."""

            async def change() -> KeptCalendar:
                return await self._change(
                    caller,
                    lambda present: replace(
                        present, windows=wanted.windows, freezes=wanted.freezes
                    ),
                    wanted.reason,
                    _expected(if_match, wanted.revision),
                )

            return _tagged(
                response, await self.calls.change(caller, "fleet.calendar.write", wanted, change)
            )

        @router.post("/blockers")
        async def block(caller: Caller, response: Response, wanted: NewBlocker) -> CalendarDetails:
            """Let nothing start during an incident, from now on."""

            async def change() -> KeptCalendar:
                return await self._change(
                    caller, lambda present: _blocked(present, wanted, actor(caller)), wanted.reason
                )

            return _tagged(
                response, await self.calls.change(caller, "fleet.calendar.block", wanted, change)
            )

        @router.delete("/blockers/{blocker}")
        async def unblock(
            caller: Caller, response: Response, blocker: KeepableText
        ) -> CalendarDetails:
            """Take an incident away; one that is gone already is fine."""

            async def change() -> KeptCalendar:
                return await self._change(
                    caller,
                    lambda present: replace(
                        present,
                        blockers=tuple(each for each in present.blockers if each.name != blocker),
                    ),
                    f"incident {blocker!r} is over",
                )

            return _tagged(
                response,
                await self.calls.change(
                    caller, "fleet.calendar.block", None, change, unblocked=blocker
                ),
            )

        return router

    async def _change(
        self,
        caller: Principal,
        change: Callable[[Calendar], Calendar],
        reason: str,
        expected: int | None = None,
    ) -> KeptCalendar:
        def checked(present: Calendar) -> Calendar:
            wanted = change(present)
            try:
                check_calendar(wanted)
            except ValueError as error:
                raise invalid_argument(str(error)) from None
            return wanted

        before, after = await self.calendars.change(
            checked, by=actor(caller), reason=reason, expected=expected
        )
        note_change(_plain(before.calendar), _plain(after.calendar))
        return after


def _blocked(present: Calendar, wanted: NewBlocker, by: str) -> Calendar:
    known = next((each for each in present.blockers if each.name == wanted.name), None)
    new = Blocker(
        wanted.name,
        wanted.reason,
        by,
        datetime.now(UTC),
        wanted.until,
        wanted.selector,
        wanted.blocks_rollback,
    )
    if known is None:
        return replace(present, blockers=(*present.blockers, new))
    if replace(new, by=known.by, since=known.since) != known:
        raise already_exists(
            f"incident {wanted.name!r} already blocks, as {known.by} said: {known.reason}. Take "
            "it away first, or choose another name"
        )
    return present


def _expected(if_match: str | None, revision: int | None) -> int:
    if if_match is not None:
        tag = _ETAG.fullmatch(if_match.strip())
        if tag is None:
            raise invalid_argument(
                f"If-Match is {if_match[:100]!r}: send the ETag of the calendar that this changes"
            )
        if revision is not None and revision != int(tag[1]):
            raise invalid_argument(
                f"If-Match says revision {tag[1]}, and the body says {revision}: send one of them"
            )
        return int(tag[1])
    if revision is None:
        raise invalid_argument(
            "which calendar this changes is not said: send its ETag as If-Match, or its revision"
        )
    return revision


def _plain(calendar: Calendar) -> JsonValue:
    plain: JsonValue = _CALENDAR.dump_python(calendar, mode="json")
    return plain


def _tagged(response: Response, kept: KeptCalendar) -> CalendarDetails:
    response.headers["etag"] = f'"{kept.revision}"'
    return CalendarDetails(
        kept.revision, kept.calendar, kept.changed_at, kept.changed_by, kept.reason
    )
