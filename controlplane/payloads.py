"""How values travel through the engine: as JSON, read by their types with pydantic.

temporalio's own converter for pydantic does the same, but a new one is made for every run of every
workflow, and each would build its readers of our types anew: some 20 ms of a namespace's creation.
"""

from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)

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


data_converter = DataConverter(payload_converter_class=_SharedPayloadConverter)
"""For every client of the engine."""
