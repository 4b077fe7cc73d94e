"""Requests as the audit log keeps them: who reads it later learns what was asked, and no secret."""

import base64
import binascii
import hashlib
import re

from google.protobuf import json_format
from google.protobuf.message import Message
from pydantic import JsonValue

from controlplane.store.audit_entries import canonical

WITHHELD = "(withheld)"
LONGEST_TEXT = 1024
"""Characters."""
LARGEST_VALUE = 64 * 1024
"""Characters of its JSON."""

_SECRET_NAME = re.compile(r"token|secret|passw|private_?key|credential", re.IGNORECASE)
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]*\.[\w-]*")
# Codec servers and the like: user names, passwords and keys travel in these parts of a URL.
_URL = re.compile(r"(\w+://)(?:[^/\s?#@]*@)?([^\s?#]*)(?:\?[^\s#]*)?(?:#\S*)?")


def fields_of(message: Message) -> JsonValue:
    """Return the message as JSON, secrets included."""
    try:
        fields: JsonValue = json_format.MessageToDict(message)
    except (json_format.Error, ValueError, TypeError, OverflowError):
        # A time out of its range, say: valid on the wire, and nothing that JSON can say.
        return f"(no JSON, {_fingerprint(message.SerializeToString(deterministic=True))})"
    return fields


def redacted(value: JsonValue) -> JsonValue:
    """Return the value without what is secret; one that is too large becomes its fingerprint."""
    clean = _clean(value)
    text = canonical(clean)
    if len(text) > LARGEST_VALUE:
        return f"({len(text)} characters of JSON, {_fingerprint(text.encode())})"
    return clean


def _clean(value: JsonValue) -> JsonValue:
    match value:
        case dict():
            return {
                _text(name): WITHHELD
                if isinstance(inner, str) and inner and _SECRET_NAME.search(name)
                else _clean(inner)
                for name, inner in value.items()
            }
        case list():
            return [_clean(inner) for inner in value]
        case str():
            return _text(value)
        case _:
            return value


def _text(value: str) -> str:
    value = _PEM.sub(_shortened_block, _decoded_pem(value))
    if "-----BEGIN" in value:
        return f"(broken PEM, {_fingerprint(value.encode())})"
    value = _URL.sub(_plain_url, _TOKEN.sub(WITHHELD, value))
    if len(value) > LONGEST_TEXT:
        return f"{value[:100]}… ({len(value)} characters, {_fingerprint(value.encode())})"
    return value


def _decoded_pem(value: str) -> str:
    """Return the PEM inside a value that is the base64 of it, as bytes are in JSON."""
    if len(value) < len("-----BEGIN") or "-----BEGIN" in value:
        return value
    try:
        inner = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value
    return inner.decode(errors="replace") if b"-----BEGIN" in inner else value


def _shortened_block(block: re.Match[str]) -> str:
    label, body = block.groups()
    if "PRIVATE" in label:
        return f"({label} withheld)"
    try:
        content = base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        content = body.encode()
    return f"({label} {_fingerprint(content)})"


def _plain_url(url: re.Match[str]) -> str:
    plain = url[1] + url[2]
    return plain if plain == url[0] else f"{plain}?{WITHHELD}"


def _fingerprint(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
