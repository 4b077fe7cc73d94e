import pytest

from cells.replication.rules import shards_obstacle


@pytest.mark.parametrize(("shards", "peers"), [(1, 1), (1, 512), (512, 4), (6, 3)])
def test_shards_can_be_mapped_when_one_number_is_a_multiple_of_the_other(
    shards: int, peers: int
) -> None:
    assert shards_obstacle("one", shards, "other", peers) == ""
    assert shards_obstacle("other", peers, "one", shards) == ""


@pytest.mark.parametrize(("shards", "peers"), [(4, 6), (512, 500), (0, 4)])
def test_all_other_shards_are_refused_with_both_numbers(shards: int, peers: int) -> None:
    refused = shards_obstacle("one", shards, "other", peers)
    assert f"cell one has {shards} history shards and other has {peers}" in refused
