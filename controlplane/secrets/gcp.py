"""Secrets in Google's Secret Manager, in one project and under one prefix."""

import base64
import re
from functools import partial
from typing import TYPE_CHECKING

from controlplane.gcp.calls import Google
from controlplane.gcp.discovered import secretmanager
from controlplane.gcp.errors import Refused, Status

if TYPE_CHECKING:
    from googleapiclient._apis.secretmanager.v1.schemas import Automatic

MOST_BYTES = 65_535
"""Of one value: what Secret Manager keeps, less our first byte."""

_FORMAT = b"\x01"
"""First byte of every value: Secret Manager keeps nothing that is empty."""
_LONGEST_ID = 255
_RACES = 5


class GcpSecretStore:
    """Adapter of `controlplane.secrets.port.SecretStore`; several processes may share a prefix.

    Of a secret there is one version that can be read, the latest. For up to a minute after a put,
    Google may still lead another process to the one before, which is destroyed by then: that
    process gets an error that passes, and never an old value.
    """

    def __init__(self, google: Google, project: str, prefix: str, key: str = "") -> None:
        """`key` is the resource name of the KMS key, in location `global`; empty: Google's own."""
        if not re.fullmatch(r"[A-Za-z0-9-]{1,40}", prefix):
            raise ValueError(
                f"{prefix!r} is not a prefix of secrets: write up to 40 letters, digits and hyphens"
            )
        self._google = google
        self._project = f"projects/{project}"
        # No name begins like this: what is escaped has two digits or letters after the underscore.
        self._prefix = f"{prefix}__"
        self._key = key

    async def put(self, name: str, value: bytes) -> None:
        if len(value) > MOST_BYTES:
            raise ValueError(
                f"secret {name!r} has {len(value)} bytes: Secret Manager keeps {MOST_BYTES}"
            )
        secret = self._secret(name)
        for _ in range(_RACES):
            version = await self._added(secret, _FORMAT + value)
            if version is not None:
                await self._destroy_before(secret, version)
                return
            await self._create(secret)
        raise RuntimeError(f"{secret} kept coming and going while it was being put")

    async def get(self, name: str) -> bytes | None:
        secret = self._secret(name)
        versions = secretmanager().projects().secrets().versions
        try:
            answer = await self._google.ask(
                lambda: versions().access(name=f"{secret}/versions/latest")
            )
        except Refused as refused:
            if refused.status is Status.NOT_FOUND:
                return None
            if refused.status is Status.FAILED_PRECONDITION:
                raise ConnectionError(
                    f"{secret} is being replaced, or its latest version was disabled by hand: "
                    f"{refused.message}"
                ) from refused
            raise
        kept = base64.b64decode(answer["payload"].get("data", ""))
        if not kept.startswith(_FORMAT):
            raise RuntimeError(
                f"{secret} was not written by this control plane: delete it, or use another prefix"
            )
        return kept[len(_FORMAT) :]

    async def delete(self, name: str) -> None:
        secret = self._secret(name)
        try:
            await self._google.ask(lambda: secretmanager().projects().secrets().delete(name=secret))
        except Refused as refused:
            if refused.status is not Status.NOT_FOUND:
                raise

    async def names(self, prefix: str) -> list[str]:
        beginning = self._prefix + _escape(prefix)
        found = list[str]()
        async for page in self._google.pages(
            lambda token: (
                secretmanager()
                .projects()
                .secrets()
                .list(parent=self._project, filter=f"name:{beginning}", pageToken=token)
            )
        ):
            ids = (secret["name"].rpartition("/")[2] for secret in page.get("secrets", []))
            # Google's filter finds it anywhere in the name.
            found += [each for each in ids if each.startswith(beginning)]
        return sorted(_unescape(each.removeprefix(self._prefix)) for each in found)

    async def _added(self, secret: str, kept: bytes) -> str | None:
        """Return the version that was added, or None when there is no such secret."""
        data = base64.b64encode(kept).decode()
        try:
            answer = await self._google.ask(
                lambda: (
                    secretmanager()
                    .projects()
                    .secrets()
                    .addVersion(parent=secret, body={"payload": {"data": data}})
                )
            )
        except Refused as refused:
            if refused.status is Status.NOT_FOUND:
                return None
            raise
        return answer["name"]

    async def _create(self, secret: str) -> None:
        automatic: Automatic = (
            {"customerManagedEncryption": {"kmsKeyName": self._key}} if self._key else {}
        )
        try:
            await self._google.ask(
                lambda: (
                    secretmanager()
                    .projects()
                    .secrets()
                    .create(
                        parent=self._project,
                        secretId=secret.rpartition("/")[2],
                        body={
                            "replication": {"automatic": automatic},
                            "labels": {"managed-by": "controlplane"},
                        },
                    )
                )
            )
        except Refused as refused:
            if refused.status is not Status.ALREADY_EXISTS:
                raise

    async def _destroy_before(self, secret: str, latest: str) -> None:
        """Destroy earlier versions, also what a lost answer has left; not later ones."""
        versions = secretmanager().projects().secrets().versions
        earlier = [
            version["name"]
            async for page in self._google.pages(
                lambda token: versions().list(
                    parent=secret, filter="state:ENABLED", pageToken=token
                )
            )
            for version in page.get("versions", [])
            if _number(version["name"]) < _number(latest)
        ]
        for version in earlier:
            try:
                await self._google.ask(partial(versions().destroy, name=version, body={}))
            except Refused as refused:
                # Another has destroyed it, or the whole secret was deleted meanwhile.
                if refused.status not in (Status.NOT_FOUND, Status.FAILED_PRECONDITION):
                    raise

    def _secret(self, name: str) -> str:
        secret_id = self._prefix + _escape(name)
        if not name or len(secret_id) > _LONGEST_ID:
            raise ValueError(
                f"secret name {name!r} is empty or too long: with its prefix and escaped, it may "
                f"have {_LONGEST_ID} characters"
            )
        return f"{self._project}/secrets/{secret_id}"


def _number(version: str) -> int:
    return int(version.rpartition("/")[2])


def _escape(name: str) -> str:
    """Return what Secret Manager takes for a name, and what no other name becomes.

    Escaped character by character, so that prefixes stay prefixes.
    """
    return re.sub(
        rb"[^A-Za-z0-9-]", lambda match: b"_%02x" % match.group()[0], name.encode()
    ).decode()


def _unescape(secret_id: str) -> str:
    return re.sub(
        rb"_([0-9a-f]{2})", lambda match: bytes([int(match.group(1), 16)]), secret_id.encode()
    ).decode()
