from pathlib import Path

import pytest

from cells.providers.gcp.settings import GcpSettings

CHECKOUT = Path(__file__).parents[3]
GIVEN = {
    "CONTROLPLANE_GCP_FOLDER": "folders/42",
    "CONTROLPLANE_GCP_BILLING_ACCOUNT": "012345-6789AB-CDEF01",
    "CONTROLPLANE_GCP_PROJECT": "control-plane",
    "CONTROLPLANE_GCP_PRINCIPAL": "serviceAccount:cp@control-plane.iam.gserviceaccount.com",
    "CONTROLPLANE_GCP_STATE_BUCKET": "control-plane-terraform",
}


def test_what_an_organisation_must_give_is_enough() -> None:
    settings = GcpSettings.from_env(GIVEN)

    assert settings.folder == "folders/42"
    assert settings.project_prefix == "cell"
    assert settings.rest_endpoint == settings.grpc_endpoint == ""


@pytest.mark.parametrize("name", GIVEN)
def test_what_is_missing_is_named_with_an_example(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} is not set: write ") as missing:
        GcpSettings.from_env({key: value for key, value in GIVEN.items() if key != name})

    assert len(str(missing.value)) > len(f"{name} is not set: write ")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FOLDER", "organizations/42", "write folders/123456789"),
        ("BILLING_ACCOUNT", "my account", "write 012345-6789AB-CDEF01"),
        ("PRINCIPAL", "cp@control-plane", "write serviceAccount:name@project"),
        ("PROJECT_PREFIX", "Cell", "write 2 to 20 small letters"),
        (
            "CONTROL_PLANE_NETWORKS",
            "10.0.0.0/8, somewhere",
            "has 'somewhere': write each as a CIDR",
        ),
        ("ENDPOINT_CONSUMERS", "Orders", "has 'Orders': write each as a project's id"),
        ("DNS_ENDPOINT", "yes", "write true or false"),
        ("KUBERNETES_VERSION", "newest", "write a version such as 1.35"),
        ("REST_ENDPOINT", "localhost:1", r"write http\(s\)://host:port"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(name: str, value: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"CONTROLPLANE_GCP_{name} .*{says}"):
        GcpSettings.from_env({**GIVEN, f"CONTROLPLANE_GCP_{name}": value})


def test_lists_are_read_with_and_without_spaces() -> None:
    settings = GcpSettings.from_env(
        {
            **GIVEN,
            "CONTROLPLANE_GCP_CONTROL_PLANE_NETWORKS": "10.0.0.0/8, 192.168.0.0/16",
            "CONTROLPLANE_GCP_DNS_ENDPOINT": "true",
        }
    )

    assert settings.control_plane_networks == ("10.0.0.0/8", "192.168.0.0/16")
    assert settings.dns_endpoint


def test_terraform_s_bootstrap_gives_names_that_are_read() -> None:
    """What the module's output calls the variables is what they are called here."""
    outputs = (CHECKOUT / "terraform/modules/control-plane-gcp/outputs.tf").read_text()
    given = {word for word in outputs.split() if word.startswith("CONTROLPLANE_GCP_")}

    source = (CHECKOUT / "cells/providers/gcp/settings.py").read_text()
    unknown = {name for name in given if name.removeprefix("CONTROLPLANE_GCP_") not in source}
    assert given >= set(GIVEN)
    assert unknown == set()
