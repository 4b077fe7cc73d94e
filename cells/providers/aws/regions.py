"""Regions that an account has to ask for before it can use them."""

import asyncio
from datetime import timedelta

from controlplane.aws.identity import Identity
from controlplane.errors import throttled

_ENABLED = ("ENABLED", "ENABLED_BY_DEFAULT")
_DISABLING_DELAY = timedelta(minutes=5)


async def enable(cell: Identity, region: str, pause: timedelta) -> None:
    """Return once the account may use the region. It can take AWS hours."""
    account = cell.client("account")
    asked = False
    while True:
        answer = await cell.ask(account.get_region_opt_status, RegionName=region)
        match answer["RegionOptStatus"]:
            case status if status in _ENABLED:
                return
            case "DISABLING":
                raise throttled(f"AWS is still disabling region {region}", _DISABLING_DELAY)
            case "DISABLED" if not asked:
                await cell.ask(account.enable_region, RegionName=region)
                asked = True
            case _:
                await asyncio.sleep(pause.total_seconds())
