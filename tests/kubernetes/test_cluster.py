"""The cluster that tests run against: what has to be Kubernetes' own is."""

import asyncio
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.kubernetes.api import KubernetesApi, Refused
from tests.kubernetes.authenticator import User
from tests.kubernetes.cluster import running_cluster
from tests.kubernetes.workloads import Space


async def test_an_apply_that_would_take_anothers_field_is_refused_and_names_it(
    space: Space,
) -> None:
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings"},
        "data": {"colour": "red"},
    }
    await space.apply("configmaps", "settings", document, manager="somebody")

    with pytest.raises(Refused, match=r"somebody(?s:.*)\.data\.colour") as refusal:
        await space.apply(
            "configmaps", "settings", {**document, "data": {"colour": "blue"}}, manager="else"
        )

    assert refusal.value.status == 409
    kept = await space.get("configmaps", "settings")
    assert kept["data"] == {"colour": "red"}


async def test_what_a_node_has_to_enforce_is_accepted_and_validated(space: Space) -> None:
    policies = f"/apis/networking.k8s.io/v1/namespaces/{space.name}/networkpolicies"
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    await space.api.create(policies, {"metadata": {"name": "default-deny"}, "spec": spec})

    wrong = {**spec, "policyTypes": ["Sideways"]}
    with pytest.raises(Refused) as refusal:
        await space.api.create(policies, {"metadata": {"name": "wrong"}, "spec": wrong})

    assert refusal.value.status == 422


async def test_pods_are_spread_over_the_zones_of_the_nodes(space: Space) -> None:
    pod = {"containers": [{"name": "sleeper", "image": "busybox", "command": ["sleep", "600"]}]}
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "sleeper"}},
    }
    for number in range(3):
        await space.api.create(
            space.path("pods"),
            {
                "metadata": {"name": f"sleeper-{number}", "labels": {"app": "sleeper"}},
                "spec": {**pod, "topologySpreadConstraints": [spread]},
            },
        )

    async def all_run() -> bool:
        return all(pod["status"]["phase"] == "Running" for pod in await space.pods())

    await eventually(all_run, within=120, every=0.2)
    assert {pod["spec"]["nodeName"] for pod in await space.pods()} == {
        "node-a",
        "node-b",
        "node-c",
    }


async def test_a_cluster_asks_whose_a_token_is_and_rbac_says_what_they_may(tmp_path: Path) -> None:
    known = {
        "a-readers-token": User("arn:aws:iam::1:role/reader", groups=("readers",)),
        "a-strangers-token": User("arn:aws:iam::1:role/stranger"),
    }

    async def authenticator(token: str) -> User | None:
        await asyncio.sleep(0)
        return known.get(token)

    async with running_cluster(tmp_path, {}, authenticator) as cluster:
        binding = {
            "metadata": {"name": "readers"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "view",
            },
            "subjects": [
                {"kind": "Group", "name": "readers", "apiGroup": "rbac.authorization.k8s.io"}
            ],
        }
        async with KubernetesApi(cluster.access) as api:
            bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
            await api.create(bindings, binding)

        async def status(token: str) -> int:
            async with KubernetesApi(cluster.as_user(token)) as api:
                try:
                    await api.get("/api/v1/namespaces/default/configmaps")
                except Refused as refused:
                    return refused.status
            return 200

        async def reads() -> bool:
            return await status("a-readers-token") == 200

        await eventually(reads)  # The authorizer hears of the binding a moment later.
        assert await status("a-strangers-token") == 403
        assert await status("nobodys-token") == 401
