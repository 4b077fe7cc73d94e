"""Many namespaces at once, from their creation until nothing is left of them."""

import pytest

from tests.fleet import RunningFleet
from tests.load.namespaces import PAGE_SIZES, RETENTION_DAYS, many_namespaces
from tests.tenant import tenant_of

COUNT = 40


@pytest.mark.timeout(600)
async def test_many_namespaces_are_created_listed_changed_and_deleted_side_by_side(
    fleet: RunningFleet,
) -> None:
    async with tenant_of(fleet) as tenant:
        report = await many_namespaces(fleet, tenant, COUNT)
    print(f"\n{report}")

    names = [f"many-{n:04}" for n in range(COUNT)]
    assert report.listed == dict.fromkeys(PAGE_SIZES, names)
    assert [found.spec.name for found in report.after_update] == names
    assert {found.spec.retention_days for found in report.after_update} == {RETENTION_DAYS}
    assert all(found.tags == {"number": found.spec.name} for found in report.after_update)
    assert report.left == set()
