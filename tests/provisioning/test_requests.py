"""What a namespace agrees to, refuses and writes down, as tables and laws."""

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from provisioning import requests
from provisioning.journal import Journal
from provisioning.types import (
    CreateNamespace,
    DeleteNamespace,
    InspectNamespace,
    IssueClientCertificate,
    NamespaceLife,
    NamespaceSpec,
    NamespaceState,
    OperationKind,
    OperationState,
    Rename,
    RenameSearchAttribute,
    RevokeCertificate,
    SearchAttributeType,
    SetRequestLimit,
    UpdateNamespace,
    UpdateTags,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SPEC = NamespaceSpec(
    "aws-us-east-1",
    timedelta(days=30),
    "a CA bundle",
    search_attributes={"Customer": SearchAttributeType.KEYWORD},
)
SHORTER = replace(SPEC, retention=timedelta(days=7))
CHANGES: list[requests.Change] = [
    UpdateNamespace("op2", "", SHORTER),
    RenameSearchAttribute("op2", "", "Customer", "Buyer"),
    UpdateTags("op2", {"team": "payments"}, ()),
    SetRequestLimit("op2", 100),
    RevokeCertificate("op2", "a1"),
    InspectNamespace("op2"),
]


def active() -> NamespaceState:
    state = NamespaceState("orders.acme1")
    requests.record_create(state, CreateNamespace("op1", SPEC), "0a1b2c3d-uid", NOW)
    state.life = NamespaceLife.ACTIVE
    Journal(state).close(["op1"], OperationState.FULFILLED, NOW)
    return state


def version(state: NamespaceState) -> str:
    assert state.spec is not None
    return Journal(state).view(state.spec, NOW).resource_version


def ask(state: NamespaceState, change: requests.Change) -> None:
    requests.check_change(state, change)
    requests.record_change(state, change, NOW)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_a_change_is_written_down_once_however_often_it_is_asked(change: requests.Change) -> None:
    state = active()
    ask(state, change)
    once = copy.deepcopy(state)

    ask(state, change)

    assert state == once
    assert list(Journal(state).open_operations()) == ["op2"]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_only_an_update_of_the_spec_makes_a_new_resource_version(change: requests.Change) -> None:
    state = active()
    before = version(state)

    ask(state, change)

    assert (version(state) != before) == isinstance(change, UpdateNamespace)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_nothing_is_taken_by_a_namespace_that_is_coming_or_going(change: requests.Change) -> None:
    unborn = NamespaceState("orders.acme1")
    with pytest.raises(ApplicationError, match="not found"):
        ask(unborn, change)

    coming = active()
    coming.life = NamespaceLife.ACTIVATING
    with pytest.raises(ApplicationError, match="still being created"):
        ask(coming, change)

    going = active()
    requests.record_delete(going, DeleteNamespace("op9", ""), NOW)
    with pytest.raises(ApplicationError, match="is being deleted"):
        ask(going, change)


@pytest.mark.parametrize(
    ("change", "refused_as", "because"),
    [
        (UpdateNamespace("op2", "", SPEC), "InvalidArgument", "nothing to change"),
        (UpdateNamespace("op2", "0a1b2c3d-7", SHORTER), "FailedPrecondition", "0a1b2c3d-1"),
        (
            UpdateNamespace("op2", "", replace(SPEC, region="gcp-us-central1")),
            "FailedPrecondition",
            "is active in aws-us-east-1, which cannot be removed",
        ),
        (
            UpdateNamespace("op2", "", replace(SPEC, search_attributes={})),
            "InvalidArgument",
            "RenameCustomSearchAttribute",
        ),
        (
            UpdateNamespace(
                "op2", "", replace(SPEC, search_attributes={"Customer": SearchAttributeType.INT})
            ),
            "InvalidArgument",
            "cannot become INT",
        ),
        (RenameSearchAttribute("op2", "", "Seller", "Buyer"), "NotFound", "'Seller'"),
        (RenameSearchAttribute("op2", "", "Customer", "Customer"), "AlreadyExists", "'Customer'"),
        (
            RenameSearchAttribute("op2", "0a1b2c3d-7", "Customer", "Buyer"),
            "FailedPrecondition",
            "read it again",
        ),
        (SetRequestLimit("op2", 0), "InvalidArgument", "nothing to change"),
        (RevokeCertificate("op2", "a1", revoked=False), "NotFound", "is not revoked"),
        (
            IssueClientCertificate("op2", "a CSR", timedelta(days=1)),
            "FailedPrecondition",
            "no managed CA",
        ),
    ],
)
def test_a_refusal_says_why_and_changes_nothing(
    change: requests.Change, refused_as: str, because: str
) -> None:
    state = active()
    before = copy.deepcopy(state)

    with pytest.raises(ApplicationError, match=because) as refused:
        ask(state, change)

    assert refused.value.type == refused_as
    assert state == before


def test_a_rename_keeps_the_version_so_that_who_renamed_can_go_on_with_it() -> None:
    # As the Terraform provider does: rename, then update by the version read before.
    state = active()
    read = version(state)

    ask(state, RenameSearchAttribute("op2", read, "Customer", "Buyer"))
    assert state.spec is not None
    both = {"Buyer": SearchAttributeType.KEYWORD, "Customer": SearchAttributeType.KEYWORD}
    ask(state, UpdateNamespace("op3", read, replace(state.spec, search_attributes=both)))

    assert state.renames == [Rename("op2", "Customer", "Buyer")]
    assert state.spec.search_attributes == both


def test_a_revocation_can_be_taken_back() -> None:
    state = active()
    ask(state, RevokeCertificate("op2", "b2"))
    ask(state, RevokeCertificate("op3", "a1"))
    ask(state, RevokeCertificate("op4", "b2"))
    assert state.policy.revoked_serials == ("a1", "b2")

    ask(state, RevokeCertificate("op5", "b2", revoked=False))

    assert "b2" not in state.policy.revoked_serials
    assert state.operations[-1].kind == OperationKind.RESTORE


def test_tags_are_put_over_those_there_and_absent_ones_removed_in_silence() -> None:
    state = active()
    ask(state, UpdateTags("op2", {"team": "payments", "tier": "1"}, ()))
    ask(state, UpdateTags("op3", {"tier": "2"}, ("team", "never-there")))

    assert state.tags == {"tier": "2"}


def test_an_update_leaves_what_is_not_of_the_spec() -> None:
    state = active()
    ask(state, SetRequestLimit("op2", 100))
    ask(state, UpdateTags("op3", {"team": "payments"}, ()))

    ask(state, UpdateNamespace("op4", "", SHORTER))

    assert state.policy.requests_per_second == 100
    assert state.tags == {"team": "payments"}


def test_changes_wait_in_a_line_that_has_an_end() -> None:
    state = active()
    for number in range(requests.MOST_OPEN_OPERATIONS):
        ask(state, InspectNamespace(f"look{number}"))

    with pytest.raises(ApplicationError, match="are waiting for their turn") as refused:
        ask(state, InspectNamespace("one too many"))
    assert refused.value.type == "Throttled"

    ask(state, InspectNamespace("look0"))


@pytest.mark.parametrize(
    ("state", "request_version", "because"),
    [
        (replace(active(), spec=replace(SPEC, delete_protection=True)), "", "delete protection"),
        (replace(active(), deleting=True), "", "is being deleted already"),
        (active(), "0a1b2c3d-7", "read it again"),
        (NamespaceState("orders.acme1"), "", "not found"),
    ],
)
def test_a_deletion_is_refused_with_its_reason(
    state: NamespaceState, request_version: str, because: str
) -> None:
    with pytest.raises(ApplicationError, match=because):
        requests.check_delete(state, DeleteNamespace("op2", request_version))


@given(st.lists(st.sampled_from(["open", "close", "publish"]), max_size=60))
def test_no_operation_is_forgotten_before_others_could_read_how_it_ended(did: list[str]) -> None:
    state = active()
    journal = Journal(state)
    read: dict[str, OperationState] = {}
    opened = 0
    for what in did:
        match what:
            case "open":
                opened += 1
                journal.open(f"change{opened}", OperationKind.TAG, NOW)
            case "close":
                journal.close(journal.open_operations(), OperationState.FULFILLED, NOW)
            case _:
                view = journal.view(SPEC, NOW)
                # Others read this while the entity goes on.
                journal.open(f"meanwhile{len(read)}", OperationKind.INSPECT, NOW)
                journal.close([f"meanwhile{len(read)}"], OperationState.FULFILLED, NOW)
                read |= {op.id: op.state for op in view.operations}
                journal.forget_published(view)

    kept = {op.id for op in state.operations}
    for number in range(1, opened + 1):
        name = f"change{number}"
        assert name in kept or read[name] == OperationState.FULFILLED
    told = [decision.number for decision in state.decisions]
    assert told == sorted(told)
