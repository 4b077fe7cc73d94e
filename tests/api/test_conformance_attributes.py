"""Search attributes and tags, as clients of Temporal Cloud need them, through every door."""

import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    CreateNamespaceResponse,
    RenameCustomSearchAttributeRequest,
    RenameCustomSearchAttributeResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
    UpdateNamespaceTagsRequest,
    UpdateNamespaceTagsResponse,
)
from temporalio.service import RPCStatusCode

from tests.api.conforming import KEYWORD, active, done, read, refused, update
from tests.api.doors import Door
from tests.api.running import RunningApi, declared


async def test_a_search_attribute_is_not_removed(api: RunningApi, door: Door) -> None:
    found = await active(api, door, lambda spec: spec.search_attributes.update(Customer=KEYWORD))
    found.spec.search_attributes.clear()
    found.spec.custom_search_attributes.clear()

    async with refused(RPCStatusCode.INVALID_ARGUMENT, "RenameCustomSearchAttribute"):
        await update(api, door, found)


async def test_the_terraform_provider_renames_a_search_attribute(
    api: RunningApi, door: Door
) -> None:
    before = await active(api, door, lambda spec: spec.search_attributes.update(Old=KEYWORD))
    rename = RenameCustomSearchAttributeRequest(
        namespace=before.namespace,
        existing_custom_search_attribute_name="Old",
        new_custom_search_attribute_name="New",
        resource_version=before.resource_version,
    )
    renamed = await done(api, door, rename, RenameCustomSearchAttributeResponse)
    assert set(renamed.spec.search_attributes) == {"New"}
    # It goes on with the version and the attribute that it read before.
    spec = declared("orders")
    spec.search_attributes.update(Old=KEYWORD, New=KEYWORD)
    stale = UpdateNamespaceRequest(
        namespace=before.namespace, spec=spec, resource_version=before.resource_version
    )

    after = await done(api, door, stale, UpdateNamespaceResponse)

    assert set(after.spec.search_attributes) == {"Old", "New"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("Absent", "New", RPCStatusCode.NOT_FOUND),
        ("Old", "Taken", RPCStatusCode.ALREADY_EXISTS),
        ("Old", "no name", RPCStatusCode.INVALID_ARGUMENT),
        ("Old", "", RPCStatusCode.INVALID_ARGUMENT),
    ],
)
async def test_a_rename_that_cannot_be_is_refused(
    api: RunningApi, door: Door, old: str, new: str, code: RPCStatusCode
) -> None:
    found = await active(
        api, door, lambda spec: spec.search_attributes.update(Old=KEYWORD, Taken=KEYWORD)
    )
    rename = RenameCustomSearchAttributeRequest(
        namespace=found.namespace,
        existing_custom_search_attribute_name=old,
        new_custom_search_attribute_name=new,
    )

    async with refused(code):
        await door.call(rename, RenameCustomSearchAttributeResponse)


async def test_tags_are_set_overwritten_and_removed(api: RunningApi, door: Door) -> None:
    created = await door.call(
        CreateNamespaceRequest(spec=declared("orders"), tags={"team": "a", "stage": "dev"}),
        CreateNamespaceResponse,
    )
    await api.settle(created.namespace)
    before = await read(door, created.namespace)
    change = UpdateNamespaceTagsRequest(
        namespace=created.namespace,
        tags_to_upsert={"team": "b", "owner": "olga@example.com"},
        tags_to_remove=["stage", "absent"],
    )

    after = await done(api, door, change, UpdateNamespaceTagsResponse)

    assert before.tags == {"team": "a", "stage": "dev"}
    assert after.tags == {"team": "b", "owner": "olga@example.com"}
    # Tags are not part of the spec: whoever read it before may still write it back.
    assert after.resource_version == before.resource_version


TAGS: dict[str, tuple[dict[str, str], list[str], str]] = {
    "none": ({}, [], "nothing to change"),
    "both": ({"a": "b"}, ["a"], "decide for one"),
    "key": ({"A": "b"}, [], "a tag's key cannot be 'A'"),
    "value": ({"a": ""}, [], "the value of tag 'a' cannot be ''"),
    "long": ({"a": "x" * 64}, [], "use 1 to 63"),
    "many": ({f"t{number}": "x" for number in range(11)}, [], "11 tags; at most 10"),
}


@pytest.mark.parametrize("case", TAGS)
async def test_tags_that_cannot_be_are_refused(api: RunningApi, door: Door, case: str) -> None:
    upsert, remove, told = TAGS[case]
    found = await active(api, door)
    change = UpdateNamespaceTagsRequest(
        namespace=found.namespace, tags_to_upsert=upsert, tags_to_remove=remove
    )

    async with refused(RPCStatusCode.INVALID_ARGUMENT, told):
        await door.call(change, UpdateNamespaceTagsResponse)
