"""The documented limits of Temporal Cloud ("System limits", "Namespaces", "Certificates")."""

import re

from provisioning.types import SearchAttributeType

RETENTION_DAYS = range(1, 90 + 1)
DEFAULT_RETENTION_DAYS = 30
CERTIFICATE_FILTERS = 25
# One `*`, leading or trailing.
FILTER_PATTERN = re.compile(r"\*?[^*]*|[^*]*\*")
SEARCH_ATTRIBUTES: dict[SearchAttributeType, int] = {
    SearchAttributeType.TEXT: 5,
    SearchAttributeType.KEYWORD: 40,
    SearchAttributeType.INT: 20,
    SearchAttributeType.DOUBLE: 20,
    SearchAttributeType.BOOL: 20,
    SearchAttributeType.DATETIME: 20,
    SearchAttributeType.KEYWORD_LIST: 5,
}
SEARCH_ATTRIBUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
SPEC_BYTES = 128 * 1024
"""Ours: a spec travels through workflow histories. The CA bundle takes at most 32 KB of it."""
OPERATION_ID = re.compile(r"[\x21-\x7e]{1,200}")
"""Ours: what a caller may choose as `async_operation_id`; a UUID in practice."""
