"""What Secrets and ConfigMaps hold."""

import base64

from tests.kubernetes.api import KubernetesApi


async def entries(api: KubernetesApi, namespace: str, kind: str, name: str) -> dict[str, bytes]:
    """Return the entries of one of the `secrets` or `configmaps`; raise Refused if it is absent."""
    found = await api.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
    if kind == "secrets":
        return _decoded(found.get("data"))
    plain = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return {**plain, **_decoded(found.get("binaryData"))}


def _decoded(values: dict[str, str] | None) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (values or {}).items()}
