"""A secret store in a folder: one AES-256-GCM file per secret, under one key file.

The key is all that protects the folder: back both up, and not to the same place.
"""

import asyncio
import contextlib
import re
import secrets
import time
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from controlplane.secrets import private_file

KEY_BYTES = 32
# Seen by a store opened with another key, before it mixes secrets under two keys in one folder.
_KEY_CHECK = "key-check"
_SUFFIX = ".secret"
_FORMAT = b"\x01"
"""First byte of every file; the nonce and the ciphertext follow."""
_NONCE_BYTES = 12
_UNFINISHED_KEPT_SECONDS = 3600.0
_LONGEST_FILE_NAME = 200
"""Bytes, well under the 255 of common file systems, with room for the name while unfinished."""


class SecretStoreError(Exception):
    """The store cannot be opened or a secret cannot be read; the message says what to do."""


def create_key(key_file: Path) -> None:
    """Make a random key that only its owner may read, unless the file exists already."""
    private_file.create(key_file, secrets.token_bytes(KEY_BYTES))


class FileSecretStore:
    """Keeps each secret in a file of its own; several processes may share the folder.

    A file's name is its secret's, escaped, and is not secret. The name is authenticated with the
    value: a file copied over another's place is refused.
    """

    def __init__(self, directory: Path, key_file: Path) -> None:
        """Open the store, making the folder if needed; raise SecretStoreError for a wrong key."""
        self._directory = directory
        self._cipher = AESGCM(_read_key(key_file))
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_key(key_file)
        self._remove_unfinished()

    async def put(self, name: str, value: bytes) -> None:
        path = self._path(name)
        sealed = self._seal(name, value)
        # A slow disk takes its time to sync; reads come from memory and may run right here.
        await asyncio.to_thread(private_file.replace, path, sealed)

    async def get(self, name: str) -> bytes | None:
        path = self._path(name)
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return self._open(name, sealed)
        except InvalidTag:
            raise SecretStoreError(
                f"secret {name!r} is damaged or was not written for this name: "
                f"restore {path} from a backup, or delete it to have it made anew"
            ) from None

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(private_file.remove, self._path(name))

    async def names(self, prefix: str) -> list[str]:
        escaped = _escape(prefix)
        return sorted(
            _unescape(path.name.removesuffix(_SUFFIX))
            for path in self._directory.iterdir()
            if path.name.startswith(escaped) and path.name.endswith(_SUFFIX)
        )

    def _path(self, name: str) -> Path:
        file_name = _escape(name) + _SUFFIX
        if not name or len(file_name) > _LONGEST_FILE_NAME:
            raise ValueError(
                f"secret name {name!r} is empty or too long: escaped, it may have "
                f"{_LONGEST_FILE_NAME - len(_SUFFIX)} characters"
            )
        return self._directory / file_name

    def _seal(self, name: str, value: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, value, name.encode())

    def _open(self, name: str, sealed: bytes) -> bytes:
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORMAT or len(nonce) < _NONCE_BYTES:
            raise InvalidTag
        return self._cipher.decrypt(nonce, ciphertext, name.encode())

    def _check_key(self, key_file: Path) -> None:
        check = self._directory / _KEY_CHECK
        private_file.create(check, self._seal(_KEY_CHECK, b""))
        try:
            self._open(_KEY_CHECK, check.read_bytes())
        except InvalidTag:
            raise SecretStoreError(
                f"the key in {key_file} is not the one the secrets in {self._directory} were "
                "written with: restore that key, or use another folder"
            ) from None

    def _remove_unfinished(self) -> None:
        """Remove what writers that died have left behind, but not what is being written now."""
        for path in self._directory.glob(f"*{private_file.UNFINISHED_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _UNFINISHED_KEPT_SECONDS:
                    path.unlink()


def _read_key(key_file: Path) -> bytes:
    try:
        key = key_file.read_bytes()
    except FileNotFoundError:
        raise SecretStoreError(
            f"there is no key file {key_file}: restore it, or create a key for a new store"
        ) from None
    if len(key) != KEY_BYTES:
        raise SecretStoreError(
            f"{key_file} holds {len(key)} bytes instead of a key of {KEY_BYTES}: restore it"
        )
    if key_file.stat().st_mode & 0o007:
        raise SecretStoreError(f"everybody may read {key_file}: chmod it to 600")
    return key


def _escape(name: str) -> str:
    """Return a file name for `name`: no two names share one, even where case does not count.

    Escaped character by character, so that prefixes stay prefixes.
    """
    return re.sub(
        rb"[^a-z0-9.-]", lambda match: b"%%%02x" % match.group()[0], name.encode()
    ).decode()


def _unescape(file_name: str) -> str:
    return re.sub(
        rb"%([0-9a-f]{2})", lambda match: bytes([int(match.group(1), 16)]), file_name.encode()
    ).decode()
