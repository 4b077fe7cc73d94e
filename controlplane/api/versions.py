"""The version of the Cloud Ops API that a caller speaks, and the fields it can know of.

An update replaces the whole spec. A caller that never heard of a field cannot send it back, so what
it leaves out of the newer fields stays as it is ("use the version to safely mutate resources":
cloud-api, README).
"""

import re
from typing import NamedTuple

from google.protobuf.message import Message
from temporalio.api.cloud.namespace.v1 import NamespaceSpec as Declaration

from controlplane.api.authentication import API_VERSION


class ApiVersion(NamedTuple):
    major: int
    minor: int
    patch: int = 0


LATEST = ApiVersion(1_000_000, 0)
BEFORE_NUMBERS = ApiVersion(0, 0)
"""The API was versioned by dates (`2024-05-13-00`) before it had numbers."""

# As the API's own comments date them (`temporal:versioning:min_version`).
API_KEY_AUTH = ApiVersion(0, 2)
MTLS_ENABLED = ApiVersion(0, 2)
LIFECYCLE = ApiVersion(0, 4)
CUSTOM_ERROR_MESSAGE = ApiVersion(0, 5, 1)
CONNECTIVITY_RULES = ApiVersion(0, 6)
PASSIVE_POLLER_FORWARDING = ApiVersion(0, 13)
UNKNOWN_TO_US = ApiVersion(0, 18)
"""Whatever our generated classes do not know came with this version or later."""
NEWEST_KNOWN = "v0.17.0"

_NUMBERS = re.compile(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?:[-+].*)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:-\d{2})?")


def caller_version() -> ApiVersion:
    """Return the version that the caller of the present call speaks."""
    return read_version(API_VERSION.get())


def read_version(header: str) -> ApiVersion:
    """Return what `temporal-cloud-api-version` says; nothing, or nothing legible, is the latest."""
    said = header.strip()
    if _DATE.fullmatch(said):
        return BEFORE_NUMBERS
    numbers = _NUMBERS.fullmatch(said)
    if numbers is None:
        return LATEST
    major, minor, patch = numbers.groups(default="0")
    return ApiVersion(int(major), int(minor), int(patch))


def json_version(header: str) -> str:
    """Return the version to go by for a caller who is answered in JSON.

    It has no place for fields that our generated classes do not know, so nobody can send them back.
    """
    return header if read_version(header) < UNKNOWN_TO_US else NEWEST_KNOWN


def keep_what_is_newer(version: ApiVersion, declared: Declaration, stored: Declaration) -> None:
    """Give `declared` the stored values of fields that its caller cannot know and did not send."""
    if version < API_KEY_AUTH:
        _keep(declared, stored, "api_key_auth")
    if version < LIFECYCLE:
        _keep(declared, stored, "lifecycle")
    if version < CONNECTIVITY_RULES and not declared.connectivity_rule_ids:
        declared.connectivity_rule_ids.extend(stored.connectivity_rule_ids)
    if version < CUSTOM_ERROR_MESSAGE and declared.HasField("codec_server"):
        _keep(declared.codec_server, stored.codec_server, "custom_error_message")
    if version < PASSIVE_POLLER_FORWARDING and declared.HasField("high_availability"):
        kept = stored.high_availability.disable_passive_poller_forwarding
        declared.high_availability.disable_passive_poller_forwarding |= kept
    if version < UNKNOWN_TO_US and not _unknown(declared):
        declared.MergeFromString(_unknown(stored))


def hide_what_breaks(version: ApiVersion, declared: Declaration) -> None:
    """Take out what a caller of that version cannot decode.

    An older client of the vendor's has text where this field is a truth value, and fails on it.
    Every other field is skipped by those who do not know it.
    """
    if version < PASSIVE_POLLER_FORWARDING and declared.HasField("high_availability"):
        declared.high_availability.ClearField("disable_passive_poller_forwarding")


def _keep(declared: Message, stored: Message, field: str) -> None:
    if stored.HasField(field) and not declared.HasField(field):
        getattr(declared, field).CopyFrom(getattr(stored, field))


def _unknown(declared: Declaration) -> bytes:
    """Return the fields that our generated classes do not know, as they came."""
    rest: Message = Declaration.FromString(declared.SerializeToString())
    for field in rest.DESCRIPTOR.fields:
        rest.ClearField(field.name)
    return rest.SerializeToString(deterministic=True)
