"""What a cell is in a cluster."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network

import kubernetes_validate  # type: ignore[import-untyped]  # It ships no types.
import pytest
import yaml

from cells.release import Software
from cells.runtime.kubernetes.documents import Json, at, elements, mapping, number, text
from cells.runtime.kubernetes.layout import Features, Layout
from cells.runtime.kubernetes.manifests.ingress import ADMIN_PORT, STATUS_PORT, ingress_files
from cells.runtime.kubernetes.manifests.naming import INGRESS, Service
from cells.runtime.kubernetes.settings import Images, KubernetesSettings
from cells.runtime.kubernetes.sizes import sizes_for
from cells.runtime.kubernetes.temporal_config import (
    drain_seconds,
    dynamic_configuration,
    static_configuration,
    unusable_keys,
)
from cells.types import Capacity, Provider
from tests.runtime.kubernetes.cell_in_cloud import (
    BLUEPRINT,
    CURRENT,
    FOUNDATION,
    OLD,
    SECRETS,
    SETTINGS,
    SOFTWARE,
    WATCHED,
    jobs,
    layout,
    objects,
)

GOOGLE = layout(
    replace(BLUEPRINT, provider=Provider.GCP, region="gcp-us-central1"),
    replace(FOUNDATION, search="https://search.test", database_ca=""),
)


def pods(documents: list[Json]) -> Iterator[Json]:
    for document in documents:
        if pod := mapping(document, "spec", "template", "spec"):
            yield pod


def containers(documents: list[Json]) -> Iterator[Json]:
    for pod in pods(documents):
        yield from elements(pod, "containers")


@pytest.mark.parametrize("where", [layout(), GOOGLE], ids=["aws", "gcp"])
@pytest.mark.parametrize("small", [False, True], ids=["sized", "small"])
def test_current_clusters_accept_every_object_to_the_last_field(where: Layout, small: bool) -> None:
    settings = replace(SETTINGS, small=small)
    for document in [*objects(where, settings=settings).everything, *jobs(where, settings)]:
        kubernetes_validate.validate(document, "1.37", strict=True)


def test_a_cluster_is_told_of_nothing_that_it_does_not_know() -> None:
    documents = objects(features=OLD).everything
    assert all("grpc" not in mapping(c, "readinessProbe") for c in containers([*documents]))
    versions = {text(d, "kind"): text(d, "apiVersion") for d in documents}
    assert versions["PodDisruptionBudget"] == "policy/v1beta1"
    assert "ServiceMonitor" not in versions
    watched = objects(features=WATCHED).everything
    assert sum(text(d, "kind") == "ServiceMonitor" for d in watched) == 2


def test_equal_cells_get_equal_objects() -> None:
    assert json.dumps(objects().everything) == json.dumps(objects().everything)


def test_secret_values_are_in_secrets_and_nowhere_else() -> None:
    everything = [*objects().everything, *jobs()]
    shown = json.dumps([d for d in everything if text(d, "kind") != "Secret"])
    assert "secret-of" not in shown
    assert "secret-of" not in repr(SECRETS)


def test_no_container_is_throttled_and_each_uses_no_more_processors_than_it_asked_for() -> None:
    for container in containers([*objects().everything, *jobs()]):
        assert "cpu" not in mapping(container, "resources", "limits"), text(container, "name")
        assert at(container, "resources", "limits", "memory") == at(
            container, "resources", "requests", "memory"
        )
    for service in Service:
        (container,) = containers([objects().deployments[service]])
        asked = {text(v, "name"): mapping(v, "valueFrom") for v in elements(container, "env")}
        assert text(asked["GOMAXPROCS"], "resourceFieldRef", "resource") == "requests.cpu"


def test_no_pod_has_rights_in_its_cluster_or_on_its_node() -> None:
    everything = [*objects().everything, *jobs()]
    for pod in pods(everything):
        assert pod["automountServiceAccountToken"] is False
        assert mapping(pod, "securityContext")["runAsNonRoot"] is True
        assert text(pod, "securityContext", "seccompProfile", "type") == "RuntimeDefault"
    for container in containers(everything):
        context = mapping(container, "securityContext")
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert at(context, "capabilities", "drop") == ["ALL"]


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable"),
    [(3, "50%", "50%"), (9, "50%", "50%"), (10, 1, 0), (24, 1, 0)],
)
def test_few_history_pods_are_rolled_by_halves_and_many_one_at_a_time(
    replicas: int, surge: object, unavailable: object
) -> None:
    capacity = Capacity(namespaces=1, actions_per_second=replicas * 500)
    where = replace(layout(), capacity=capacity)
    deployment = objects(where).deployments[Service.HISTORY]
    assert number(deployment, "spec", "replicas") == replicas
    rolling = mapping(deployment, "spec", "strategy", "rollingUpdate")
    assert (rolling["maxSurge"], rolling["maxUnavailable"]) == (surge, unavailable)


@pytest.mark.parametrize("component", [Service.FRONTEND, Service.INTERNAL_FRONTEND, INGRESS])
def test_who_answers_clients_is_never_fewer_while_it_is_rolled(component: str) -> None:
    assert (
        at(objects().deployments[component], "spec", "strategy", "rollingUpdate", "maxUnavailable")
        == 0
    )


def test_callees_are_rolled_out_before_their_callers() -> None:
    assert list(objects().deployments) == [
        "history",
        "matching",
        "worker",
        "internal-frontend",
        "frontend",
        "ingress",
    ]


@pytest.mark.parametrize("service", list(Service))
def test_a_pod_has_longer_to_stop_than_it_takes(service: Service) -> None:
    deployment = objects().deployments[service]
    grace = number(deployment, "spec", "template", "spec", "terminationGracePeriodSeconds")
    assert grace > drain_seconds(service, SETTINGS)


def test_readiness_is_what_the_service_itself_says() -> None:
    asked = {
        service: text(next(containers([d])), "readinessProbe", "grpc", "service")
        for service, d in objects().deployments.items()
        if service != INGRESS
    }
    api = "temporal.api.workflowservice.v1."
    assert asked == {
        "history": f"{api}HistoryService",
        "matching": f"{api}MatchingService",
        "worker": f"{api}WorkerService",
        "internal-frontend": f"{api}WorkflowService",
        "frontend": f"{api}WorkflowService",
    }
    older = objects(software=Software("1.30.6")).deployments[Service.WORKER]
    assert "tcpSocket" in mapping(next(containers([older])), "readinessProbe")


def test_another_configuration_replaces_what_reads_it_and_leaves_the_rest() -> None:
    before, after = objects(), objects(software=replace(SOFTWARE, configuration={}))
    assert before.deployments[INGRESS] == after.deployments[INGRESS]
    for service in Service:
        assert before.deployments[service] != after.deployments[service]
    # The files of before are still there for a pod that goes back.
    names = {text(d, "metadata", "name") for d in before.base if text(d, "kind") == "ConfigMap"}
    assert before.files.dynamic in names
    assert after.files.dynamic not in names
    assert before.files.static == after.files.static


def test_what_pods_read_is_never_changed_under_its_name() -> None:
    for document in objects().base:
        if text(document, "kind") in ("ConfigMap", "Secret"):
            assert document["immutable"] is True, text(document, "metadata", "name")


def test_everything_is_denied_that_no_policy_allows() -> None:
    policies = [d for d in objects().base if text(d, "kind") == "NetworkPolicy"]
    deny = mapping(policies[0], "spec")
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    allowed = [
        rule
        for policy in policies
        for direction in ("ingress", "egress")
        for rule in elements(policy, "spec", direction)
    ]
    assert allowed
    for rule in allowed:
        assert list(elements(rule, "ports")), rule
        assert [*elements(rule, "from"), *elements(rule, "to")], rule
        for peer in [*elements(rule, "from"), *elements(rule, "to")]:
            if block := text(peer, "ipBlock", "cidr"):
                ip_network(block)


def test_nobody_outside_the_pod_reaches_what_could_stop_envoy() -> None:
    configuration = json.loads(ingress_files(layout())["envoy.json"])
    admin = configuration["admin"]["address"]["socket_address"]
    assert (admin["address"], admin["port_value"]) == ("127.0.0.1", ADMIN_PORT)
    status = configuration["static_resources"]["listeners"][-1]
    assert status["address"]["socket_address"]["port_value"] == STATUS_PORT
    http = status["filter_chains"][0]["filters"][0]["typed_config"]
    (host,) = http["route_config"]["virtual_hosts"]
    assert [route["match"] for route in host["routes"]] == [
        {"path": "/ready"},
        {"path": "/stats/prometheus"},
    ]
    for container in containers([objects().deployments[INGRESS]]):
        assert ADMIN_PORT not in [number(p, "containerPort") for p in elements(container, "ports")]


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize("public", [False, True], ids=["internal", "public"])
def test_load_balancers_are_internal_unless_the_ingress_is_to_be_public(
    provider: Provider, public: bool
) -> None:
    where, settings = (
        replace(layout(), provider=provider),
        replace(SETTINGS, ingress_is_public=public),
    )
    balanced = {
        text(d, "metadata", "name"): mapping(d, "metadata", "annotations")
        for d in objects(where, settings=settings).base
        if text(d, "spec", "type") == "LoadBalancer"
    }
    assert sorted(balanced) == ["frontend", "ingress", "ingress-status", "replication"]
    internal = {
        Provider.AWS: ("service.beta.kubernetes.io/aws-load-balancer-internal", "true"),
        Provider.GCP: ("networking.gke.io/load-balancer-type", "Internal"),
    }[provider]
    outside = {name for name, found in balanced.items() if internal not in found.items()}
    assert outside == ({INGRESS} if public else set())


def test_the_server_is_told_who_it_is_in_the_fleet_and_reads_its_password_when_it_starts() -> None:
    written = static_configuration(layout(), SETTINGS)
    assert written.startswith("# enable-template\n")
    config = yaml.safe_load(written)
    metadata = config["clusterMetadata"]
    assert metadata["currentClusterName"] == metadata["masterClusterName"] == BLUEPRINT.cell
    assert metadata["clusterInformation"][BLUEPRINT.cell]["initialFailoverVersion"] == 7
    assert config["persistence"]["numHistoryShards"] == 512
    main = config["persistence"]["datastores"]["main"]["sql"]
    assert "TEMPORAL_STORE_PASSWORD" in main["password"]
    assert main["tls"]["enableHostVerification"] is True
    assert main["tls"]["serverName"] == "database.test"
    # Internal nodes find the internal frontend by themselves, and must not be told of another.
    assert "publicClient" not in config


def test_where_there_is_a_search_service_it_is_the_visibility_store() -> None:
    where = layout(foundation=replace(FOUNDATION, search="https://search.test"))
    store = yaml.safe_load(static_configuration(where, SETTINGS))["persistence"]["datastores"]
    search = store["visibility"]["elasticsearch"]
    assert search["url"] == {"scheme": "https", "host": "search.test"}
    assert search["aws-request-signing"]["enabled"] is True
    _, visibility, _ = jobs(where)
    (container,) = containers([visibility])
    assert "temporal-elasticsearch-tool" in str(container["args"])
    asked = {text(v, "name"): text(v, "value") for v in elements(container, "env")}
    assert asked["ES_SERVER"] == "https://search.test"


def test_a_releases_configuration_wins_over_the_cells_own() -> None:
    own = yaml.safe_load(dynamic_configuration({}, SETTINGS))
    key = "history.shardUpdateMinInterval"
    assert own[key] == [{"value": "5s"}]
    changed = yaml.safe_load(dynamic_configuration({key: "9s", "frontend.rps": 7}, SETTINGS))
    assert changed[key] == [{"value": "9s"}]
    assert changed["frontend.rps"] == [{"value": 7}]
    assert {**changed, key: own[key], "frontend.rps": None} == {**own, "frontend.rps": None}


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("frontend.rps", 5, ""),
        ("frontend rps", 5, "is no key"),
        ("rps", 5, "is no key"),
        ("frontend.rps", float("nan"), "finite"),
        ("frontend.rps", "x" * 5_000, "5000 characters"),
    ],
    ids=["good", "space", "no-service", "not-a-number", "long"],
)
def test_configuration_that_no_server_could_take_is_named(
    key: str, value: int | float | str, complaint: str
) -> None:
    found = "; ".join(unusable_keys({key: value}))
    assert bool(found) == bool(complaint)
    assert complaint in found


def test_images_come_from_where_they_are_mirrored_and_are_what_they_were() -> None:
    images = Images(
        registry="registry.test/mirror",
        digests={"temporalio/server:1.31.2": "sha256:abc"},
    )
    software = Software("1.31.2", ingress_version="2.0.0+7")
    found = objects(software=software, settings=KubernetesSettings(images=images))
    (history,) = containers([found.deployments[Service.HISTORY]])
    assert history["image"] == "registry.test/mirror/temporalio/server:1.31.2@sha256:abc"
    _, gatekeeper = containers([found.deployments[INGRESS]])
    assert gatekeeper["image"] == "registry.test/mirror/controlplane/gatekeeper:2.0.0-7"


def test_pods_are_who_the_cloud_knows_them_as() -> None:
    accounts = {
        text(d, "metadata", "name"): mapping(d, "metadata", "annotations")
        for d in objects().base
        if text(d, "kind") == "ServiceAccount"
    }
    assert accounts["temporal"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/temporal"
    }
    assert accounts["ingress"] == accounts["schema"] == {}


def test_a_larger_cell_has_no_fewer_pods_and_one_in_each_zone_at_least() -> None:
    sizes = [sizes_for(Capacity(1, actions)) for actions in (0, 500, 5_000, 500_000)]
    for smaller, larger in itertools.pairwise(sizes):
        assert smaller.history.replicas <= larger.history.replicas
        assert smaller.frontend.replicas <= larger.frontend.replicas
    assert sizes[0].history.replicas == sizes[0].frontend.replicas == 3


def test_features_of_a_cluster_decide_how_its_nodes_ask() -> None:
    assert not Features((1, 23)).probes_grpc
    assert Features((1, 24)).probes_grpc
    assert CURRENT.disruption_budgets == "policy/v1"
