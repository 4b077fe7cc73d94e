"""Secrets in AWS Secrets Manager, under one prefix and one KMS key."""

import re
from typing import Any

from controlplane.aws.errors import code_of
from controlplane.aws.identity import Identity

MOST_BYTES = 65_535
"""Of one value: what Secrets Manager keeps, less our first byte."""

_FORMAT = b"\x01"
"""First byte of every value: Secrets Manager keeps nothing that is empty."""
_LONGEST_NAME = 512
_ABSENT = "ResourceNotFoundException"
_EXISTS = "ResourceExistsException"
_GOING = "InvalidRequestException"
"""What is said of a secret that is being deleted, by somebody who left it a period of grace."""
_RACES = 5


class AwsSecretStore:
    """Adapter of `controlplane.secrets.port.SecretStore`; several processes may share a prefix.

    What is deleted is gone at once, without Secrets Manager's period of grace. The listing of
    names may lag by a few seconds behind what was put and deleted.
    """

    def __init__(self, identity: Identity, prefix: str, key: str = "") -> None:
        """`key` is the ARN of the KMS key; empty: that of AWS for Secrets Manager."""
        if not re.fullmatch(r"[A-Za-z0-9_.@-]+(/[A-Za-z0-9_.@-]+)*", prefix):
            raise ValueError(
                f"{prefix!r} is not a prefix of secrets: write letters, digits and _.@-, with / "
                "between them"
            )
        self._identity = identity
        self._prefix = f"{prefix}/"
        self._key = key

    async def put(self, name: str, value: bytes) -> None:
        if len(value) > MOST_BYTES:
            raise ValueError(
                f"secret {name!r} has {len(value)} bytes: Secrets Manager keeps {MOST_BYTES}"
            )
        path, kept = self._path(name), _FORMAT + value
        for _ in range(_RACES):
            if await self._replaced(path, kept) or await self._created(path, kept):
                return
        raise RuntimeError(f"secret {path} kept coming and going while it was being put")

    async def get(self, name: str) -> bytes | None:
        path = self._path(name)
        try:
            answer = await self._identity.ask(self._client.get_secret_value, SecretId=path)
        except Exception as error:
            if code_of(error) in (_ABSENT, _GOING):
                return None
            raise
        kept = answer.get("SecretBinary", b"")
        if not kept.startswith(_FORMAT):
            raise RuntimeError(
                f"secret {path} was not written by this control plane: delete it, or use another "
                "prefix"
            )
        return bytes(kept[len(_FORMAT) :])

    async def delete(self, name: str) -> None:
        try:
            await self._identity.ask(
                self._client.delete_secret,
                SecretId=self._path(name),
                ForceDeleteWithoutRecovery=True,
            )
        except Exception as error:
            if code_of(error) != _ABSENT:
                raise

    async def names(self, prefix: str) -> list[str]:
        beginning = self._prefix + _escape(prefix)
        listed = await self._identity.pages(
            self._client,
            "list_secrets",
            "SecretList",
            Filters=[{"Key": "name", "Values": [beginning]}],
        )
        return sorted(
            _unescape(secret["Name"].removeprefix(self._prefix))
            for secret in listed
            if secret["Name"].startswith(beginning)
        )

    async def _replaced(self, path: str, kept: bytes) -> bool:
        """Tell whether there was a secret whose value could be replaced."""
        try:
            await self._identity.ask(
                self._client.put_secret_value, SecretId=path, SecretBinary=kept
            )
        except Exception as error:
            match code_of(error):
                case "ResourceNotFoundException":
                    return False
                case "InvalidRequestException":
                    return await self._restored(path) and await self._replaced(path, kept)
                case _:
                    raise
        return True

    async def _created(self, path: str, kept: bytes) -> bool:
        """Tell whether the secret was made, and not by somebody else meanwhile."""
        key = {"KmsKeyId": self._key} if self._key else {}
        try:
            await self._identity.ask(
                self._client.create_secret, Name=path, SecretBinary=kept, **key
            )
        except Exception as error:
            if code_of(error) in (_EXISTS, _GOING):
                return False
            raise
        return True

    async def _restored(self, path: str) -> bool:
        try:
            await self._identity.ask(self._client.restore_secret, SecretId=path)
        except Exception as error:
            if code_of(error) in (_ABSENT, _GOING):
                return False
            raise
        return True

    @property
    def _client(self) -> Any:
        return self._identity.client("secretsmanager")

    def _path(self, name: str) -> str:
        path = self._prefix + _escape(name)
        if not name or len(path) > _LONGEST_NAME:
            raise ValueError(
                f"secret name {name!r} is empty or too long: with its prefix and escaped, it may "
                f"have {_LONGEST_NAME} characters"
            )
        return path


def _escape(name: str) -> str:
    """Return what Secrets Manager takes for a name, and what no other name becomes.

    Escaped character by character, so that prefixes stay prefixes.
    """
    return re.sub(
        rb"[^A-Za-z0-9/_.@-]", lambda match: b"=%02x" % match.group()[0], name.encode()
    ).decode()


def _unescape(path: str) -> str:
    return re.sub(
        rb"=([0-9a-f]{2})", lambda match: bytes([int(match.group(1), 16)]), path.encode()
    ).decode()
