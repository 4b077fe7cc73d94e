"""What the engine is given to keep: readable while small, and never too much."""

from temporalio.api.common.v1 import Payload

from controlplane.payloads import COMPRESSED_FROM, data_converter

LIMIT = 2 * 1024 * 1024
"""Bytes: what an engine takes as one payload by default."""


async def test_a_small_value_stays_readable_to_whoever_looks_into_the_engine() -> None:
    [payload] = await data_converter.encode(["orders.acme1"])
    assert payload.data == b'"orders.acme1"'


async def test_a_large_value_is_deflated_and_comes_back_as_it_was() -> None:
    cells = [f"aws-us-east-1-c{n}" for n in range(200_000)]

    [payload] = await data_converter.encode([cells])

    assert len(payload.data) < LIMIT < len(str(cells))
    assert await data_converter.decode([payload], [list[str]]) == [cells]


async def test_what_was_kept_before_values_were_deflated_is_still_read() -> None:
    text = "x" * COMPRESSED_FROM
    kept = Payload(metadata={"encoding": b"json/plain"}, data=f'"{text}"'.encode())
    assert await data_converter.decode([kept], [str]) == [text]
