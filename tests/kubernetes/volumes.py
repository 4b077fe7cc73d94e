"""The folders that are mounted into a container."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from tests.kubernetes.api import KubernetesApi, Refused
from tests.kubernetes.entries import entries
from tests.kubernetes.environment import field_of
from tests.kubernetes.objects import Container, Files, Item, Pod, Source, TokenFile, Volume
from tests.kubernetes.start import Places


class MountFailed(Exception):
    """A volume cannot be had now; the message says why."""


def mounts(pod: Pod, container: Container, pod_folder: Path) -> dict[str, Path]:
    """Return the folder, or file, that stands for each path at which something is mounted.

    Pods' folders have short paths: a Unix socket's path is never longer than 108 bytes.
    """
    names = [volume.name for volume in pod.spec.volumes]
    shared = {volume.name for volume in pod.spec.volumes if volume.empty_dir is not None}
    found = {}
    for number, mount in enumerate(container.volume_mounts):
        volume = pod_folder / f"v{names.index(mount.name)}"
        own = pod_folder / container.name / f"m{number}"
        folder = volume if mount.name in shared else own
        found[mount.mount_path.rstrip("/")] = folder / mount.sub_path
    return found


async def fill(
    api: KubernetesApi,
    pod: Pod,
    container: Container,
    pod_folder: Path,
    places: Places,
    statuses: Mapping[str, str],
) -> None:
    """Write what the container's volumes hold now; call it again to have what has changed.

    Raise MountFailed when something is missing.
    """
    volumes = {volume.name: volume for volume in pod.spec.volumes}
    for number, mount in enumerate(container.volume_mounts):
        volume = volumes[mount.name]
        if volume.empty_dir is not None:
            folder = pod_folder / f"v{pod.spec.volumes.index(volume)}"
            (folder / mount.sub_path).mkdir(parents=True, exist_ok=True)
            continue
        files = await _files(api, pod, volume, statuses)
        await asyncio.to_thread(
            _write_all, pod_folder / container.name / f"m{number}", files, places
        )


async def _files(
    api: KubernetesApi, pod: Pod, volume: Volume, statuses: Mapping[str, str]
) -> dict[str, bytes]:
    sources: Sequence[Source] = volume.projected.sources if volume.projected else [volume]
    files: dict[str, bytes] = {}
    known = False
    for source in sources:
        token = getattr(source, "service_account_token", None)
        for kind, wanted in (("secrets", source.secret), ("configmaps", source.config_map)):
            if wanted is not None:
                known = True
                files |= await _entries(api, pod, kind, wanted)
        if source.downward_api is not None:
            known = True
            files |= {
                item.path: field_of(pod, item.field_ref.field_path, statuses).encode()
                for item in source.downward_api.items
                if item.field_ref is not None
            }
        if token is not None:
            known = True
            files[token.path] = await _token(api, pod, token)
    if not known and volume.projected is None:
        raise MountFailed(f"volume {volume.name!r} is of a kind that these nodes do not have")
    return files


async def _entries(api: KubernetesApi, pod: Pod, kind: str, wanted: Files) -> dict[str, bytes]:
    name = wanted.secret_name or wanted.name
    try:
        found = await entries(api, pod.metadata.namespace, kind, name)
    except Refused as refused:
        if refused.status == 404 and wanted.optional:
            return {}
        raise MountFailed(f"MountVolume.SetUp failed: {refused}") from refused
    items = wanted.items or [Item(key=key, path=key) for key in found]
    missing = [item.key for item in items if item.key not in found]
    if missing and not wanted.optional:
        raise MountFailed(f"references non-existent {kind} key: {name}: {', '.join(missing)}")
    return {item.path: found[item.key] for item in items if item.key in found}


async def _token(api: KubernetesApi, pod: Pod, wanted: TokenFile) -> bytes:
    account = pod.spec.service_account_name
    path = f"/api/v1/namespaces/{pod.metadata.namespace}/serviceaccounts/{account}/token"
    audiences = [wanted.audience] if wanted.audience else []
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": audiences, "expirationSeconds": wanted.expiration_seconds},
    }
    try:
        answer = await api.create(path, request)
    except Refused as refused:
        raise MountFailed(f"no token for {account}: {refused}") from refused
    return str(answer["status"]["token"]).encode()


def _write_all(folder: Path, files: Mapping[str, bytes], places: Places) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if ".." in PurePosixPath(name).parts:
            raise MountFailed(f"{name!r} leads out of the volume")
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        here = _translated(content, places)
        if file.exists() and file.read_bytes() == here:
            continue
        unfinished = file.with_name(f".{file.name}.unfinished")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(here)
        unfinished.rename(file)


def _translated(content: bytes, places: Places) -> bytes:
    try:
        return places.translated(content.decode()).encode()
    except UnicodeDecodeError:
        return content
