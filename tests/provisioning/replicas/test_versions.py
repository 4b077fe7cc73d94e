"""Cells of neighbouring versions hand a namespace over, either way round."""

from pathlib import Path

import pytest

from tests.pair import running_pair
from tests.provisioning.replicas.tenancy import Tenancy


@pytest.mark.timeout(300)
async def test_neighbouring_versions_add_hand_over_and_remove(short_path: Path) -> None:
    async with running_pair(short_path / "home", "1.31.2", "1.32.0") as pair:
        tenancy = await Tenancy.of(pair)
        await tenancy.register()
        await tenancy.replication.extend(tenancy.here, tenancy.there.cell)
        await tenancy.copy()
        assert (await tenancy.replication.compare(tenancy.here, tenancy.there.cell)).is_complete

        await tenancy.hand_over(tenancy.here, tenancy.there)
        await tenancy.start_at(tenancy.target, "there")
        await tenancy.arrived(tenancy.source, "first", "there")
        await tenancy.hand_over(tenancy.there, tenancy.here)
        for replica in (tenancy.there, tenancy.here):
            await tenancy.replication.force(replica)
        await tenancy.start_at(tenancy.source, "back")
        await tenancy.arrived(tenancy.target, "first", "there", "back")

        await tenancy.replication.withdraw(tenancy.here, tenancy.there.cell)
        assert await tenancy.replication.observe(tenancy.there) is None
        assert set(await tenancy.statuses(tenancy.source)) == {"first", "there", "back"}
