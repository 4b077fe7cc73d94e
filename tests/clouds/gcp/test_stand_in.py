"""The stand-in is as strict as Google, where the adapters could get something wrong."""

import pytest

from controlplane.gcp.calls import Request
from controlplane.gcp.discovered import cloudbilling, compute, secretmanager, serviceusage, storage
from controlplane.gcp.errors import Refused, Status
from tests.clouds.gcp.cells import BLUEPRINT, PROJECT
from tests.clouds.gcp.gke_authenticator import gke_authenticator
from tests.clouds.gcp.stand_in import BUCKET, EMAIL, HOME, StandIn
from tests.clouds.gcp.world import Project
from tests.kubernetes.authenticator import User


async def test_fields_that_google_does_not_know_are_refused(gcp: StandIn) -> None:
    def misspelt() -> Request[object]:
        body = {"replication": {"automatic": {}}, "lables": {"a": "b"}}
        secrets = secretmanager().projects().secrets()
        return secrets.create(parent=f"projects/{HOME}", secretId="s", body=body)  # type: ignore[arg-type]  # That is the point.

    with pytest.raises(Refused, match="Unknown name \"lables\" at 'body': Cannot find field"):
        await gcp.google.ask(misspelt)

    assert gcp.world.home.secrets == {}


async def test_a_policy_is_not_written_over_one_that_is_newer(gcp: StandIn) -> None:
    stale = {"bindings": [], "etag": "long ago"}

    with pytest.raises(Refused) as refused:
        await gcp.google.ask(lambda: storage().buckets().setIamPolicy(bucket=BUCKET, body=stale))  # type: ignore[arg-type]  # A plain dict.

    assert refused.value.status is Status.ABORTED


async def test_nobody_is_let_in_without_a_token_or_into_a_project_without_rights(
    gcp: StandIn,
) -> None:
    gcp.world.projects["other"] = Project("other", 9, "folders/1", "Other", {})
    gcp.world.us = "serviceAccount:somebody-else@example.com"

    with pytest.raises(Refused) as refused:
        await gcp.google.ask(lambda: compute().projects().get(project="other"))

    assert refused.value.status is Status.PERMISSION_DENIED


async def test_no_api_is_enabled_in_a_project_that_nobody_pays_for(gcp: StandIn) -> None:
    gcp.world.projects[PROJECT] = Project(PROJECT, 9, gcp.world.folder, "c1", {})
    enable = {"serviceIds": ["compute.googleapis.com"]}
    with pytest.raises(Refused, match="Billing account for project '9' is not found"):
        await gcp.google.ask(
            lambda: (
                serviceusage()
                .services()
                .batchEnable(
                    parent=f"projects/{PROJECT}", body={"serviceIds": enable["serviceIds"]}
                )
            )
        )

    billing = await gcp.google.ask(
        lambda: cloudbilling().projects().getBillingInfo(name=f"projects/{PROJECT}")
    )
    assert not billing["billingEnabled"]


async def test_clusters_take_tokens_for_whom_google_gave_them_to(gcp: StandIn) -> None:
    project = Project(PROJECT, 9, gcp.world.folder, BLUEPRINT.cell, {})
    gcp.world.projects[PROJECT] = project
    keeper = f"serviceAccount:controlplane@{PROJECT}.iam.gserviceaccount.com"
    project.policy.bindings = [{"role": "roles/container.admin", "members": [keeper]}]
    whose = gke_authenticator(gcp.world, PROJECT)

    mine, ours = gcp.world.new_token(keeper), gcp.world.new_token(f"serviceAccount:{EMAIL}")

    assert await whose(mine) == User(
        f"controlplane@{PROJECT}.iam.gserviceaccount.com",
        ("system:authenticated", "system:masters"),
    )
    assert await whose(ours) == User(EMAIL, ("system:authenticated",))
    assert await whose("made up") is None
