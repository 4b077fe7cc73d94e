"""A cluster that whoever runs the tests has already."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from cells.providers.types import Cluster, ClusterAccess
from tests.kubernetes.binaries import KubernetesUnavailable

KUBECONFIG = "CONTROLPLANE_TEST_KUBECONFIG"


def given_cluster(kubeconfig: Path) -> ClusterAccess:
    """Return the way into the cluster of a kubeconfig's current context. It must use a token."""
    try:
        config = yaml.safe_load(kubeconfig.read_text())
        (context,) = (
            named["context"]
            for named in config["contexts"]
            if named["name"] == config["current-context"]
        )
        (cluster,) = (c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
        (user,) = (u["user"] for u in config["users"] if u["name"] == context["user"])
        token, endpoint = user["token"], cluster["server"]
        ca = _certificate(cluster, kubeconfig.parent)
    except (OSError, KeyError, ValueError, TypeError, yaml.YAMLError) as error:
        raise KubernetesUnavailable(
            f"{KUBECONFIG}={kubeconfig} cannot be used ({type(error).__name__}: {error}): it has to"
            " be a kubeconfig whose current context has a certificate authority and a user with a "
            "token"
        ) from error
    in_a_year = datetime.now(UTC) + timedelta(days=365)
    return ClusterAccess(Cluster(context["cluster"], endpoint, ca), token, in_a_year)


def _certificate(cluster: dict[str, str], folder: Path) -> str:
    if data := cluster.get("certificate-authority-data"):
        return base64.b64decode(data).decode()
    return (folder / cluster["certificate-authority"]).read_text()
