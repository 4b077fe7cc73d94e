"""The namespace, its service accounts, and what pods read: ConfigMaps and Secrets.

ConfigMaps and Secrets are named by their content and never changed. A pod that is rolled back
reads again what it had read before, and none sees half of a change.
"""

from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import CellSecrets, Layout
from cells.runtime.kubernetes.manifests.naming import (
    FIELD_MANAGER,
    INGRESS,
    INSTANCE,
    MANAGED_BY,
    SCHEMA,
    TEMPORAL,
    by_content,
    encoded,
    manifest,
)
from cells.types import Provider

ACCOUNTS = (TEMPORAL, INGRESS, SCHEMA)

_IDENTITY_ANNOTATION = {
    Provider.AWS: "eks.amazonaws.com/role-arn",
    Provider.GCP: "iam.gke.io/gcp-service-account",
}


def namespace(layout: Layout) -> Json:
    """Return the namespace, in which no pod is started that has more rights than ours."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": layout.namespace,
            "labels": {
                INSTANCE: layout.cell,
                MANAGED_BY: FIELD_MANAGER,
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
    }


def service_accounts(layout: Layout) -> list[Json]:
    """Return who the pods are to the cloud; to the cluster they are nobody."""
    return [_service_account(layout, name) for name in ACCOUNTS]


def config_map(layout: Layout, name: str, component: str, files: dict[str, str | bytes]) -> Json:
    """Return files for pods to read, under a name that stands for them."""
    plain = {key: value for key, value in files.items() if isinstance(value, str)}
    binary = {key: encoded(value) for key, value in files.items() if isinstance(value, bytes)}
    content: Json = {"data": plain, **({"binaryData": binary} if binary else {})}
    named = by_content(name, content)
    return manifest("v1", "ConfigMap", layout, named, component, immutable=True, **content)


def temporal_secret(layout: Layout, secrets: CellSecrets) -> Json:
    return _secret(layout, TEMPORAL, {"password": secrets.temporal_database})


def ingress_secret(layout: Layout, secrets: CellSecrets) -> Json:
    return _secret(
        layout,
        INGRESS,
        {
            "sealing-key": secrets.sealing_key,
            "gatekeeper-password": secrets.gatekeeper_database,
            "peer-certificate.pem": secrets.peer_certificate,
        },
    )


def _secret(layout: Layout, component: str, values: dict[str, str | bytes]) -> Json:
    data = {key: encoded(value) for key, value in values.items()}
    named = by_content(component, data)
    return manifest(
        "v1", "Secret", layout, named, component, type="Opaque", immutable=True, data=data
    )


def _service_account(layout: Layout, name: str) -> Json:
    account = manifest("v1", "ServiceAccount", layout, name, name)
    account["automountServiceAccountToken"] = False
    identity = layout.foundation.identities.get(name)
    if identity:
        metadata = account["metadata"]
        assert isinstance(metadata, dict)
        metadata["annotations"] = {_IDENTITY_ANNOTATION[layout.provider]: identity}
    return account
