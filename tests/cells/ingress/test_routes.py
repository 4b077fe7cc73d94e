import json
from dataclasses import replace
from importlib.resources import files
from itertools import permutations
from pathlib import Path

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf.json_format import ParseDict

from cells.ingress.clusters import FRONTEND, peer_cluster, peer_name
from cells.ingress.descriptors import POLL_PATHS, namespaced_methods
from cells.ingress.gatekeeper.forwarding import Peers, Routes
from cells.ingress.gatekeeper.subscriptions import NONE
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.records import AdmissionRules, IngressRecord
from cells.ingress.routes import ROUTES, Elsewhere, routes

ORDERS, PAY, SHIP = (
    Elsewhere("west", True, "orders.acme1"),
    Elsewhere("west", True, "pay.globex"),
    Elsewhere("west", False, "ship.globex"),
)


def destinations(configuration: RouteConfiguration, namespace: str) -> list[tuple[str, str]]:
    """Return which paths of a namespace's requests lead to which cluster, in order."""
    hosts = {domain: host for host in configuration.virtual_hosts for domain in host.domains}
    host = hosts.get(namespace, hosts["*"])
    return [(each.match.path or each.match.prefix, each.route.cluster) for each in host.routes]


def parsed(*elsewhere: Elsewhere) -> RouteConfiguration:
    return ParseDict(routes(elsewhere), RouteConfiguration())


def test_what_is_not_elsewhere_is_here() -> None:
    configuration = parsed(ORDERS)

    assert destinations(configuration, "orders.acme1") == [("/", "peer/west")]
    assert destinations(configuration, "pay.globex") == [("/", FRONTEND)]
    assert destinations(parsed(), "orders.acme1") == [("/", FRONTEND)]


def test_polls_stay_where_they_are_to_stay() -> None:
    here = [(path, FRONTEND) for path in POLL_PATHS]

    assert destinations(parsed(SHIP), "ship.globex") == [*here, ("/", "peer/west")]


def test_polls_are_requests_that_a_tenant_can_make() -> None:
    assert {path.removeprefix("/").replace("/", ".") for path in POLL_PATHS} < set(
        namespaced_methods()
    )


def test_the_same_namespaces_give_the_same_routes_in_whatever_order() -> None:
    written = {json.dumps(routes(order)) for order in permutations((ORDERS, PAY, SHIP))}

    assert len(written) == 1


def test_a_cells_namespaces_share_their_routes() -> None:
    configuration = parsed(ORDERS, PAY, SHIP)

    assert [list(host.domains) for host in configuration.virtual_hosts] == [
        ["*"],
        ["ship.globex"],
        ["orders.acme1", "pay.globex"],
    ]


def test_no_api_key_and_nothing_that_the_ingress_notes_goes_any_further() -> None:
    script = files("cells.ingress").joinpath("tenant.lua").read_text()
    ours = script[script.index("OURS = {") : script.index("}")].split('"')[1::2]

    assert set(parsed().request_headers_to_remove) == {"authorization", *ours}
    assert len(ours) == 5


def record(namespace: str, active_cell: str = "") -> IngressRecord:
    return IngressRecord(
        namespace=namespace,
        uid="u1",
        server_name=f"{namespace}.fleet.test",
        admitted=True,
        rules=AdmissionRules(active_cell=active_cell),
        certificate_chain="",
        sealed_key=b"",
    )


def test_routes_have_another_version_only_when_a_request_goes_elsewhere_than_before() -> None:
    table = RecordTable()
    table.replace([record("orders.acme1"), record("pay.globex", "west")])
    told = Routes(table)
    first = told.version(ROUTES)

    table.update({"ship.globex": record("ship.globex")})
    assert told.version(ROUTES) == first
    table.update({"orders.acme1": record("orders.acme1", "west")})
    assert told.version(ROUTES) != first
    table.update({"orders.acme1": record("orders.acme1"), "pay.globex": record("pay.globex", "")})
    configuration = told.resource(ROUTES)
    assert configuration is not None
    assert destinations(configuration, "pay.globex") == [("/", FRONTEND)]
    assert told.version("another") == NONE


def test_a_peer_has_another_version_when_it_moves_and_none_when_it_is_gone(tmp_path: Path) -> None:
    table = RecordTable()
    table.replace_peers({"west": "10.0.0.1:7233"})
    told = Peers(table, tmp_path)
    assert told.affected(set()) == {peer_name("west")}
    first = told.version(peer_name("west"))

    table.replace_peers({"west": "10.0.0.2:7233"})
    assert told.version(peer_name("west")) not in (first, NONE)
    table.replace_peers({})
    assert told.version(peer_name("west")) == NONE
    assert told.resource(peer_name("west")) is None


def test_a_peers_certificate_must_be_of_the_name_that_the_client_asked_for(tmp_path: Path) -> None:
    cluster = ParseDict(peer_cluster("west", "10.0.0.1:7233", tmp_path), Cluster())

    options = json.dumps(peer_cluster("west", "10.0.0.1:7233", tmp_path))
    assert cluster.connect_timeout.seconds == 1
    for wanted in (
        '"auto_sni": true',
        '"auto_san_validation": true',
        '"override_auto_sni_header": "x-ingress-server-name"',
        '"validation_context_sds_secret_config"',
    ):
        assert wanted in options


def test_a_record_from_before_has_the_digest_that_it_had() -> None:
    plain = record("orders.acme1")

    assert plain.digest == "e1ec46cab9384911cb94f9cabe3fae2da968309a8f847dad95d4e9c6220ec465"
    assert not {"active_cell", "forward_polls"} & plain.parts.keys()


def test_where_requests_go_is_part_of_what_is_enforced() -> None:
    plain = record("orders.acme1")
    passive = record("orders.acme1", "west")
    idle = replace(passive, rules=AdmissionRules(active_cell="west", forward_polls=False))

    assert len({plain.digest, passive.digest, idle.digest}) == 3
    assert idle.parts["active_cell"] == "west"
    assert idle.parts["forward_polls"] == "off"
