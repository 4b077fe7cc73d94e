from datetime import timedelta

import pytest
from temporalio.api.cloud.namespace.v1 import (
    ApiKeyAuthSpec,
    CapacitySpec,
    CertificateFilterSpec,
    CodecServerSpec,
    FairnessSpec,
    LifecycleSpec,
    MtlsAuthSpec,
    NamespaceSpec,
    ReplicaSpec,
)

from controlplane.cli.spec.difference import Change, spec_changes, tag_changes
from provisioning.certificates.x509 import fingerprint, new_ca

OLD = new_ca("old-ca", validity=timedelta(days=30))
NEW = new_ca("new-ca", validity=timedelta(days=30))


def orders(**changes: object) -> NamespaceSpec:
    fields = {
        "name": "orders",
        "replicas": [ReplicaSpec(region="aws-us-east-1")],
        "retention_days": 30,
        "mtls_auth": MtlsAuthSpec(enabled=True, accepted_client_ca=OLD.certificate_pem),
        **changes,
    }
    return NamespaceSpec(**fields)  # type: ignore[arg-type]


def test_a_spec_differs_in_nothing_from_itself_whichever_fields_say_it() -> None:
    older = orders(
        replicas=[],
        regions=["aws-us-east-1"],
        api_key_auth=ApiKeyAuthSpec(),
        lifecycle=LifecycleSpec(),
    )

    assert spec_changes(orders(), orders()) == []
    assert spec_changes(older, orders()) == spec_changes(orders(), older) == []


@pytest.mark.parametrize(
    ("changed", "change"),
    [
        ({"retention_days": 60}, Change("retentionDays", "30", "60")),
        (
            {"api_key_auth": ApiKeyAuthSpec(enabled=True)},
            Change("apiKeyAuth.enabled", "", "yes"),
        ),
        (
            {"search_attributes": {"Customer": NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_KEYWORD}},
            Change("searchAttributes.Customer", "", "KEYWORD"),
        ),
        (
            {"codec_server": CodecServerSpec(endpoint="https://codec")},
            Change("codecServer.endpoint", "", "https://codec"),
        ),
        (
            {"capacity_spec": CapacitySpec(on_demand=CapacitySpec.OnDemand())},
            Change("capacitySpec.onDemand", "", "yes"),
        ),
    ],
)
def test_what_differs_is_called_as_a_spec_file_calls_it(
    changed: dict[str, object], change: Change
) -> None:
    assert spec_changes(orders(), orders(**changed)) == [change]


def test_authorities_are_told_by_their_names_not_by_their_bytes() -> None:
    both = OLD.certificate_pem + NEW.certificate_pem
    wanted = orders(mtls_auth=MtlsAuthSpec(enabled=True, accepted_client_ca=both))

    [change] = spec_changes(orders(), wanted)

    assert change.what == "mtlsAuth.acceptedClientCa"
    assert change.now == f"CN=old-ca ({fingerprint(OLD.certificate)[:16]}…)"
    assert change.wanted == f"{change.now}; CN=new-ca ({fingerprint(NEW.certificate)[:16]}…)"


def test_text_around_certificates_is_no_difference() -> None:
    commented = b"# ours\n" + OLD.certificate_pem
    wanted = orders(mtls_auth=MtlsAuthSpec(enabled=True, accepted_client_ca=commented))

    assert spec_changes(orders(), wanted) == []


def test_leaving_mtls_out_takes_it_away_whole() -> None:
    filtered = MtlsAuthSpec(
        enabled=True, certificate_filters=[CertificateFilterSpec(common_name="a")]
    )

    changes = spec_changes(orders(mtls_auth=filtered), orders(mtls_auth=None))

    assert changes == [
        Change("mtlsAuth.certificateFilters", "commonName=a", ""),
        Change("mtlsAuth.enabled", "yes", ""),
    ]


def test_what_an_update_leaves_alone_when_it_is_left_out_is_no_difference() -> None:
    now = orders(
        fairness=FairnessSpec(task_queue_fairness_enabled=True),
        capacity_spec=CapacitySpec(on_demand=CapacitySpec.OnDemand()),
    )

    assert spec_changes(now, orders(retention_days=0, replicas=[])) == []


def test_everything_differs_from_nothing() -> None:
    assert Change("replicas", "", "region=aws-us-east-1") in spec_changes(None, orders())


def test_tags_differ_one_by_one() -> None:
    assert tag_changes({"team": "a", "old": "x"}, {"team": "b", "new": "y"}) == [
        Change("tags.team", "a", "b"),
        Change("tags.new", "", "y"),
        Change("tags.old", "x", ""),
    ]
