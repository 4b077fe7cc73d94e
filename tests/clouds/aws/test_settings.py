"""Settings of AWS are read once; what is wrong with one is said with its name and value."""

import pytest

from cells.providers.aws.settings import AwsSettings

ENVIRONMENT = {
    "CONTROLPLANE_AWS_ORGANIZATION_ROLE": "arn:aws:iam::123456789012:role/fleet/controlplane",
    "CONTROLPLANE_AWS_ORGANIZATIONAL_UNIT": "ou-abcd-12345678",
    "CONTROLPLANE_AWS_EMAIL_PATTERN": "cells+{uid}@example.com",
    "CONTROLPLANE_AWS_STATE_BUCKET": "fleet-state",
    "CONTROLPLANE_AWS_STATE_REGION": "us-east-1",
}


def test_what_is_not_set_has_its_default() -> None:
    settings = AwsSettings.from_env(ENVIRONMENT)

    assert settings.cell_role_arn("210987654321") == (
        "arn:aws:iam::210987654321:role/controlplane-cell"
    )
    assert settings.email("c1a2b3d4") == "cells+c1a2b3d4@example.com"
    assert settings.control_plane_networks == ()


def test_lists_are_separated_by_commas() -> None:
    settings = AwsSettings.from_env(
        {**ENVIRONMENT, "CONTROLPLANE_AWS_CONTROL_PLANE_NETWORKS": "10.0.0.0/16, 10.1.0.0/16"}
    )

    assert settings.control_plane_networks == ("10.0.0.0/16", "10.1.0.0/16")


@pytest.mark.parametrize("missing", ENVIRONMENT)
def test_a_missing_setting_is_named(missing: str) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != missing}

    with pytest.raises(ValueError, match=f"{missing} is not set"):
        AwsSettings.from_env(environment)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("ORGANIZATION_ROLE", "controlplane", "a role's ARN"),
        ("ORGANIZATIONAL_UNIT", "cells", "ou-"),
        ("EMAIL_PATTERN", "cells@example.com", "{uid}"),
        ("EMAIL_PATTERN", f"{'x' * 50}+{{uid}}@example.com", "60 characters"),
        ("CELL_ROLE", "a/path", "without path"),
        ("CONTROL_PLANE_NETWORKS", "10.0.0.0", "CIDRs"),
    ],
)
def test_a_malformed_setting_is_told_with_its_value(name: str, value: str, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"CONTROLPLANE_AWS_{name}") as error:
        AwsSettings.from_env({**ENVIRONMENT, f"CONTROLPLANE_AWS_{name}": value})

    assert value in str(error.value)
    assert wanted in str(error.value)


def test_a_zone_needs_its_id() -> None:
    with pytest.raises(ValueError, match="CONTROLPLANE_AWS_ZONE and CONTROLPLANE_AWS_ZONE_ID"):
        AwsSettings.from_env({**ENVIRONMENT, "CONTROLPLANE_AWS_ZONE": "fleet.test"})
