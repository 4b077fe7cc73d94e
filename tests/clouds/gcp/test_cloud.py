"""A cell's life in GCP, against a stand-in that speaks Google's protocols."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.exceptions import ApplicationError

from cells.providers.gcp.cloud import GcpCloud
from cells.providers.gcp.projects import AGENTS, APIS
from cells.providers.types import Account
from controlplane.errors import ErrorType
from tests.clouds.gcp.cells import BLUEPRINT, CA, NAME, PROJECT, built, demolished
from tests.clouds.gcp.stand_in import BILLING_ACCOUNT, EMAIL, FOLDER, StandIn

KEEPER = f"controlplane@{PROJECT}.iam.gserviceaccount.com"


async def test_a_cell_gets_a_project_of_its_own_in_its_place_billed_and_with_its_apis(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    assert await cloud.obstacles(BLUEPRINT) == []
    assert await cloud.find_account(BLUEPRINT) is None

    account = await cloud.ensure_account(BLUEPRINT)

    assert account == Account(PROJECT, KEEPER) == await cloud.find_account(BLUEPRINT)
    project = gcp.world.projects[PROJECT]
    assert project.parent == FOLDER
    assert project.agents == set(AGENTS)
    assert project.labels == {
        "controlplane-cell": BLUEPRINT.cell,
        "controlplane-uid": BLUEPRINT.uid,
        "managed-by": "controlplane",
    }
    assert project.billing == f"billingAccounts/{BILLING_ACCOUNT}"
    assert project.apis == set(APIS)
    assert gcp.front.calls["Operations.GetOperation"] > 1


async def test_a_second_time_makes_nothing(gcp: StandIn, cloud: GcpCloud) -> None:
    account = await cloud.ensure_account(BLUEPRINT)
    made, state = list(gcp.world.made), gcp.world.state_policy.writes

    assert await cloud.ensure_account(BLUEPRINT) == account

    assert gcp.world.made == made
    assert gcp.world.state_policy.writes == state
    assert gcp.world.projects[PROJECT].policy.writes == 1


async def test_everything_in_a_project_is_done_as_its_own_service_account(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    account = await cloud.ensure_account(BLUEPRINT)
    foundation = built(gcp, account)
    await cloud.cluster_access(foundation)
    await cloud.database_login(foundation)
    await cloud.leftovers(BLUEPRINT, account)

    inside = ("container.", "sql.", "secretmanager.", "dns.managedZones.list", "cloudkms.")
    callers = {
        caller
        for call, callers in gcp.front.callers.items()
        if call.startswith(inside)
        for caller in callers
    }
    assert callers == {f"serviceAccount:{KEEPER}"}


async def test_terraform_gets_a_fresh_token_and_a_folder_of_the_bucket_of_its_own(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    account = await cloud.ensure_account(BLUEPRINT)

    environment = dict(await cloud.environment(account))

    token = environment.pop("GOOGLE_OAUTH_ACCESS_TOKEN")
    assert gcp.world.tokens[token] == f"serviceAccount:{KEEPER}"
    assert environment == {"GOOGLE_PROJECT": PROJECT}
    backend = cloud.backend(BLUEPRINT)
    assert backend["type"] == "gcs"
    [binding] = gcp.world.state_policy.bindings
    assert binding["members"] == [f"serviceAccount:{KEEPER}"]
    assert f"/objects/{backend['prefix']}/" in binding["condition"]["expression"]


async def test_a_cluster_is_entered_with_its_present_authority_and_a_token(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    account = await cloud.ensure_account(BLUEPRINT)
    foundation = built(gcp, account)

    access = await cloud.cluster_access(foundation)

    assert access.cluster == foundation.cluster
    assert access.cluster.ca == CA
    assert gcp.world.tokens[access.token] == f"serviceAccount:{KEEPER}"
    assert access.expires_at - datetime.now(UTC) > timedelta(minutes=10)
    assert access.token not in repr(access)


async def test_a_cluster_that_is_not_there_yet_is_no_way_in(gcp: StandIn, cloud: GcpCloud) -> None:
    account = await cloud.ensure_account(BLUEPRINT)
    foundation = built(gcp, account)
    clusters = gcp.world.projects[PROJECT].clusters
    clusters[f"us-central1/{NAME}"]["status"] = "PROVISIONING"

    with pytest.raises(ApplicationError, match="is PROVISIONING") as early:
        await cloud.cluster_access(foundation)
    assert early.value.type == ErrorType.THROTTLED

    clusters.clear()
    with pytest.raises(ApplicationError, match=r"there is no cluster .* build .* again") as gone:
        await cloud.cluster_access(foundation)
    assert gone.value.type == ErrorType.REJECTED


async def test_a_database_s_first_password_is_what_the_secret_says_also_the_next_time(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    account = await cloud.ensure_account(BLUEPRINT)
    foundation = built(gcp, account)

    first, second = [await cloud.database_login(foundation) for _ in range(2)]

    project = gcp.world.projects[PROJECT]
    assert first == second
    assert project.passwords == {NAME: {"postgres": first.password}}
    assert len(project.secrets[f"{NAME}-database"]) == 1
    assert first.password not in repr(first)


async def test_what_is_left_is_found_kind_by_kind_and_blocks_nothing_once_it_is_gone(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    account = await cloud.ensure_account(BLUEPRINT)
    assert list(await cloud.leftovers(BLUEPRINT, account)) == []
    built(gcp, account)

    found = await cloud.leftovers(BLUEPRINT, account)

    assert list(found) == [
        f"GKE cluster {NAME} in us-central1",
        f"Cloud SQL instance {NAME} in us-central1",
        f"forwarding rule {NAME}-ingress in regions/us-central1",
        f"service attachment {NAME} in regions/us-central1",
        f"virtual machine {NAME}-node-1 in zones/us-central1-a",
        f"disk {NAME}-node-1 in zones/us-central1-a",
        "disk pvc-1 in zones/us-central1-a",
        f"address {NAME}-nat in regions/us-central1",
        f"network {NAME}",
        f"DNS zone {NAME} (c1.cells.fleet.test.)",
        f"secret {NAME}-database",
        *(
            f"key projects/{PROJECT}/locations/us-central1/keyRings/{NAME}/cryptoKeys/"
            f"{NAME}-{what} whose primary version is ENABLED"
            for what in ("database", "disks", "secrets")
        ),
    ]
    demolished(gcp.world.projects[PROJECT])
    assert list(await cloud.leftovers(BLUEPRINT, account)) == []


async def test_of_an_api_that_is_switched_off_nothing_is_left(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    account = await cloud.ensure_account(BLUEPRINT)
    built(gcp, account)
    gcp.world.projects[PROJECT].apis.clear()

    assert list(await cloud.leftovers(BLUEPRINT, account)) == []


async def test_a_project_is_closed_once_and_its_way_to_the_state_with_it(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    account = await cloud.ensure_account(BLUEPRINT)

    await cloud.close_account(BLUEPRINT, account)
    await cloud.close_account(BLUEPRINT, account)

    assert not gcp.world.projects[PROJECT].is_active
    assert gcp.world.state_policy.bindings == gcp.world.zone_policy.bindings == []
    assert gcp.front.calls["Projects.DeleteProject"] == 1
    assert await cloud.find_account(BLUEPRINT) is None
    assert list(await cloud.leftovers(BLUEPRINT, account)) == []


async def test_a_project_that_was_to_go_is_taken_back(gcp: StandIn, cloud: GcpCloud) -> None:
    account = await cloud.ensure_account(BLUEPRINT)
    await cloud.close_account(BLUEPRINT, account)

    assert await cloud.ensure_account(BLUEPRINT) == account

    assert gcp.world.projects[PROJECT].is_active
    assert len([made for made in gcp.world.made if made.startswith("project ")]) == 1


async def test_somebody_else_s_project_is_left_alone(gcp: StandIn, cloud: GcpCloud) -> None:
    await cloud.ensure_account(BLUEPRINT)
    gcp.world.projects[PROJECT].labels["controlplane-uid"] = "another1"

    for call in (cloud.ensure_account, cloud.find_account, cloud.obstacles):
        with pytest.raises(ApplicationError, match="'another1', not 'k3x9m2ab'") as refused:
            await call(BLUEPRINT)
        assert refused.value.type == ErrorType.REJECTED


async def test_what_others_change_in_a_policy_meanwhile_stays(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    theirs = {"role": "roles/storage.admin", "members": ["group:auditors@example.com"]}
    gcp.world.state_policy.bindings = [theirs]
    account = await cloud.ensure_account(BLUEPRINT)
    assert theirs in gcp.world.state_policy.bindings
    assert len(gcp.world.state_policy.bindings) == 2

    await cloud.close_account(BLUEPRINT, account)

    assert gcp.world.state_policy.bindings == [theirs]


async def test_every_obstacle_is_named_with_what_to_do(gcp: StandIn, cloud: GcpCloud) -> None:
    gcp.world.withheld = {"resourcemanager.projects.create", "billing.resourceAssociations.create"}
    gcp.world.regions["us-central1"] = "DOWN"

    us = f"serviceAccount:{EMAIL}"
    where = "grant it (terraform/modules/control-plane-gcp)"
    assert list(await cloud.obstacles(BLUEPRINT)) == [
        f"{us} lacks resourcemanager.projects.create on {FOLDER}: {where}",
        f"{us} lacks billing.resourceAssociations.create on billingAccounts/{BILLING_ACCOUNT}: "
        + where,
        "region us-central1 is DOWN",
    ]
    gcp.world.withheld, gcp.world.regions, gcp.world.is_billing_open = set(), {}, False
    assert list(await cloud.obstacles(BLUEPRINT)) == [
        f"billingAccounts/{BILLING_ACCOUNT} is closed: reopen it, or set "
        "CONTROLPLANE_GCP_BILLING_ACCOUNT",
        "GCP has no region us-central1: see `gcloud compute regions list`",
    ]


async def test_a_project_s_quotas_that_are_too_small_are_named_and_waited_for(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    await cloud.ensure_account(BLUEPRINT)
    project = gcp.world.projects[PROJECT]
    project.quotas = {"INSTANCES": 2, "NETWORKS": 0, "SSD_TOTAL_GB": 9000, "TPUS": 0}

    with pytest.raises(
        ApplicationError, match=r"quota INSTANCES .* is 2, and the cell needs 4"
    ) as short:
        await cloud.ensure_account(BLUEPRINT)

    assert short.value.type == ErrorType.REJECTED
    found = await cloud.obstacles(BLUEPRINT)
    assert [each.split(" is ")[0] for each in found] == [
        f"quota NETWORKS of project {PROJECT}",
        f"quota INSTANCES of us-central1 in project {PROJECT}",
    ]
    project.quotas["INSTANCES"], project.quotas["NETWORKS"] = 500, 5
    assert list(await cloud.obstacles(BLUEPRINT)) == []


async def test_the_inputs_of_terraform_are_plain_values(gcp: StandIn, cloud: GcpCloud) -> None:
    account = await cloud.ensure_account(BLUEPRINT)

    variables = cloud.variables(BLUEPRINT, account)

    assert json.loads(json.dumps(variables)) == {
        "cell": BLUEPRINT.cell,
        "uid": BLUEPRINT.uid,
        "account": PROJECT,
        "acts_as": KEEPER,
        "region": "us-central1",
        "network": "10.40.0.0/16",
        "actions_per_second": 500,
        "labels": gcp.world.projects[PROJECT].labels,
        "control_plane_networks": [],
        "control_plane_project": "control-plane",
        "endpoint_consumers": [],
        "hub": "",
        "dns_zone": f"{BLUEPRINT.cell}.cells.fleet.test",
        "dns_parent_zone": "fleet",
        "dns_parent_project": "control-plane",
        "dns_endpoint": False,
    }
