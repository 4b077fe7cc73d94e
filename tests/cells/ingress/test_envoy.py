import json
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import service_pb2

from cells.ingress.descriptors import OPEN_PATHS, namespaced_methods
from cells.ingress.envoy import ConnectionLimits, IngressConfig, bootstrap, write
from cells.ingress.http_filters import INFLATE_TIERS, LARGEST_MESSAGE, http_filters

CONFIG = IngressConfig(
    cell="aws-us-east-1-c1",
    listen="127.0.0.1:7233",
    admin="127.0.0.1:9901",
    frontend="127.0.0.1:17233",
    gatekeeper_socket=Path("/run/gatekeeper/gatekeeper.sock"),
    folder=Path("/etc/ingress"),
    peer_certificate_file=Path("/etc/peer/certificate.pem"),
    endpoint_ca_file=Path("/etc/endpoint-ca/ca.pem"),
)


def test_equal_configurations_give_equal_bytes(tmp_path: Path) -> None:
    here = replace(CONFIG, folder=tmp_path)
    first = write(here).read_bytes()
    descriptors = here.descriptor_file.read_bytes()

    assert write(here).read_bytes() == first
    assert here.descriptor_file.read_bytes() == descriptors


def test_no_ca_is_named_to_clients() -> None:
    """A client that is told of CAs may withhold a certificate that none of them has issued."""
    assert "trusted_ca" not in json.dumps(bootstrap(CONFIG))


def test_envoy_is_told_of_files_of_keys_and_never_of_keys(tmp_path: Path) -> None:
    here = replace(CONFIG, folder=tmp_path, peer_certificate_file=tmp_path / "peer.pem")
    here.peer_certificate_file.write_text("-----BEGIN PRIVATE KEY-----")
    write(here)

    written = {file for file in tmp_path.iterdir() if file != here.peer_certificate_file}
    assert not [file for file in written if b"PRIVATE KEY" in file.read_bytes()]


def test_no_session_is_resumed() -> None:
    written = json.dumps(bootstrap(CONFIG))

    assert '"disable_stateless_session_resumption": true' in written
    assert '"disable_stateful_session_resumption": true' in written


def test_every_message_the_frontend_takes_passes_its_inflate_tier() -> None:
    assert INFLATE_TIERS[0][1] == 1032  # More than DEFLATE ever compresses.
    for (end_below, _), (_, ratio) in pairwise(INFLATE_TIERS):
        assert end_below * ratio >= LARGEST_MESSAGE


def test_no_inflate_tier_exceeds_32_mib() -> None:
    assert max(end * ratio for end, ratio in INFLATE_TIERS) <= 32 << 20
    assert INFLATE_TIERS[-1][0] == LARGEST_MESSAGE


def test_methods_that_name_no_namespace_or_manage_them_are_not_a_tenants() -> None:
    service = service_pb2.DESCRIPTOR.services_by_name["WorkflowService"]
    callable_ = {name.rpartition(".")[2] for name in namespaced_methods()}
    open_ = {path.rpartition("/")[2] for path in OPEN_PATHS}

    assert {method.name for method in service.methods} - callable_ - open_ == {
        "DeprecateNamespace",
        "GetSearchAttributes",
        "ListNamespaces",
        "RegisterNamespace",
        "UpdateNamespace",
    }


def test_the_gatekeeper_tells_every_policy_and_envoy_starts_without_it() -> None:
    discovered = [
        each["config_discovery"]
        for each in http_filters(Path("/etc/descriptors"), "gatekeeper")
        if "config_discovery" in each
    ]

    assert len(discovered) == 2
    for policy in discovered:
        assert isinstance(policy, dict)
        assert policy["apply_default_config_without_warming"]
        assert policy["type_urls"] == [policy["default_config"]["@type"]]


def test_more_long_polls_than_envoys_default_are_held_open() -> None:
    clusters = bootstrap(CONFIG)["static_resources"]["clusters"]  # type: ignore[index]

    for cluster in clusters:
        assert cluster["circuit_breakers"]["thresholds"][0]["max_requests"] >= 100_000


def test_no_connection_outlives_what_the_gatekeeper_remembers() -> None:
    with pytest.raises(ValueError, match="2 days"):
        ConnectionLimits(age=timedelta(days=2))
