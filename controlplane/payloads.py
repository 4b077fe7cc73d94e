"""How values travel through the engine: JSON, read by their types with pydantic; large ones small.

temporalio's own converter for pydantic does the same, but a new one is made for every run of every
workflow, and each would build its readers of our types anew: some 20 ms of a namespace's creation.
"""

import zlib
from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadCodec,
)

COMPRESSED_FROM = 16 * 1024
"""Bytes. What people look at in the engine's UI is far smaller and stays readable there; a fleet of
thousands of cells, or a rollout over it, is not, and an engine refuses payloads of over 2 MiB."""

_ENCODING = b"binary/zlib"

_json = PydanticJSONPlainPayloadConverter()


class _SharedPayloadConverter(CompositePayloadConverter):
    """The default converters, with one JSON converter for the whole process."""

    def __init__(self) -> None:
        super().__init__(
            *(
                _json if isinstance(converter, JSONPlainPayloadConverter) else converter
                for converter in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


class _Compression(PayloadCodec):
    """Deflates payloads that are large."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [_deflate(p) if len(p.data) >= COMPRESSED_FROM else p for p in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [_inflate(p) if p.metadata.get("encoding") == _ENCODING else p for p in payloads]


def _deflate(payload: Payload) -> Payload:
    whole = payload.SerializeToString(deterministic=True)
    return Payload(metadata={"encoding": _ENCODING}, data=zlib.compress(whole, level=1))


def _inflate(payload: Payload) -> Payload:
    return Payload.FromString(zlib.decompress(payload.data))


data_converter = DataConverter(
    payload_converter_class=_SharedPayloadConverter, payload_codec=_Compression()
)
"""For every client of the engine."""
