"""What an API key may do, row by row."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from cells.ingress.descriptors import namespaced_methods
from cells.ingress.gatekeeper.key_authorizer import (
    READ_PATHS,
    Forbidden,
    KeyAllowed,
    Unauthenticated,
    authorize_request,
)
from cells.ingress.gatekeeper.key_table import AccountKeys
from cells.ingress.gatekeeper.tokens import Claims
from cells.ingress.keys import KeyRow
from cells.ingress.records import AdmissionRules, IngressRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMESPACE = "orders.acme1"
SERVICE = "/temporal.api.workflowservice.v1.WorkflowService/"
START, DESCRIBE = SERVICE + "StartWorkflowExecution", SERVICE + "DescribeNamespace"
RECORD = IngressRecord(
    namespace=NAMESPACE,
    uid="u1",
    server_name=f"{NAMESPACE}.fleet.test",
    admitted=True,
    rules=AdmissionRules(api_keys=True),
    certificate_chain="",
    sealed_key=b"",
)
CLAIMS = Claims("key-1", "acme1", NOW + HOUR, None)


def key(
    permission: str | None = None, *, everywhere: bool = False, ends: datetime = NOW + HOUR
) -> KeyRow:
    namespaces: Mapping[str, str] = {} if permission is None else {NAMESPACE: permission}
    return KeyRow("key-1", ends, everywhere, namespaces)


WRITE = key("write")


@dataclass(frozen=True)
class Case:
    """A request that would be allowed but for what is said otherwise."""

    key: KeyRow | None = WRITE
    claims: Claims = CLAIMS
    record: IngressRecord | None = RECORD
    path: str = START
    account: str | None = None

    def decide(self) -> KeyAllowed | Unauthenticated | Forbidden:
        keys = {} if self.key is None else {self.key.key_id: self.key}
        account = AccountKeys(self.account or self.claims.account, 1, keys)
        return authorize_request(self.record, self.claims, account, self.path, NOW)


ALLOWED = {
    "write starts workflows": Case(),
    "admin starts workflows": Case(key("admin")),
    "a key for everywhere starts workflows": Case(key(everywhere=True)),
    "a token made for the namespace": Case(
        claims=replace(CLAIMS, namespaces=frozenset({"other.acme1", NAMESPACE}))
    ),
    "read describes the namespace": Case(key("read"), path=DESCRIBE),
    "read asks what the system can": Case(key("read"), path=SERVICE + "GetSystemInfo"),
    "read asks for health": Case(key("read"), path="/grpc.health.v1.Health/Check"),
    "read queries a workflow": Case(key("read"), path=SERVICE + "QueryWorkflow"),
    "read counts workflows": Case(key("read"), path=SERVICE + "CountWorkflowExecutions"),
    "read sees histories": Case(key("read"), path=SERVICE + "GetWorkflowExecutionHistory"),
}

UNAUTHENTICATED = {
    "no record": (Case(record=None), "not admitted"),
    "a closed namespace": (Case(record=replace(RECORD, admitted=False)), "not admitted"),
    "a namespace without API keys": (
        Case(record=replace(RECORD, rules=AdmissionRules())),
        "does not take API keys",
    ),
    "an expired token": (Case(claims=replace(CLAIMS, expires_at=NOW)), "expired at 2026-01-01"),
    "an expired key": (Case(key("write", ends=NOW)), "expired at 2026-01-01"),
    "no row": (Case(None), "revoked, disabled or unknown"),
    "another key's row": (Case(replace(key("write"), key_id="key-2")), "revoked, disabled"),
    "a row of another account": (Case(account="globex"), "revoked, disabled or unknown"),
}

FORBIDDEN = {
    "another account's key": (
        Case(key(everywhere=True), claims=replace(CLAIMS, account="globex")),
        "no access to namespace orders.acme1",
    ),
    "another account's key that says it has a permission": (
        Case(key("admin"), claims=replace(CLAIMS, account="globex")),
        "no access",
    ),
    "a key without a permission here": (Case(key()), "no access to namespace"),
    "a permission that nobody knows": (Case(key("owner")), "no access to namespace"),
    "a token made for another namespace": (
        Case(claims=replace(CLAIMS, namespaces=frozenset({"other.acme1"}))),
        "not made for namespace",
    ),
    "a token made for no namespace": (
        Case(key(everywhere=True), claims=replace(CLAIMS, namespaces=frozenset())),
        "not made for namespace",
    ),
    "read starts a workflow": (Case(key("read")), "StartWorkflowExecution takes permission write"),
    "read takes a task": (Case(key("read"), path=SERVICE + "PollWorkflowTaskQueue"), "write"),
    "read answers a task": (
        Case(key("read"), path=SERVICE + "RespondQueryTaskCompleted"),
        "permission write",
    ),
    "read calls what only looks like reading": (
        Case(key("read"), path=START + "/../DescribeNamespace"),
        "permission write",
    ),
    "read calls a reading name of another service": (
        Case(key("read"), path="/other.Service/DescribeNamespace"),
        "permission write",
    ),
    "read adds a query to a path": (Case(key("read"), path=START + "?/GetSystemInfo"), "write"),
}


@pytest.mark.parametrize("case", ALLOWED.values(), ids=ALLOWED.keys())
def test_a_key_is_allowed(case: Case) -> None:
    assert case.decide() == KeyAllowed("key-1")


@pytest.mark.parametrize(("case", "why"), UNAUTHENTICATED.values(), ids=UNAUTHENTICATED.keys())
def test_what_is_no_key_here_is_unauthenticated(case: Case, why: str) -> None:
    decision = case.decide()
    assert isinstance(decision, Unauthenticated)
    assert why in decision.reason


@pytest.mark.parametrize(("case", "why"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_a_key_is_forbidden_what_it_has_no_permission_for(case: Case, why: str) -> None:
    decision = case.decide()
    assert isinstance(decision, Forbidden)
    assert why in decision.reason


def test_a_key_of_no_account_at_all_is_unknown() -> None:
    assert isinstance(authorize_request(RECORD, CLAIMS, None, START, NOW), Unauthenticated)


def test_what_reading_takes_changes_nothing() -> None:
    changing = {
        name.rpartition(".")[2]
        for name in namespaced_methods()
        if f"{SERVICE}{name.rpartition('.')[2]}" not in READ_PATHS
    }

    verbs = ("Start", "Signal", "Terminate", "Reset", "Poll", "Respond", "Create", "Delete", "Set")
    assert {"StartWorkflowExecution", "PollWorkflowTaskQueue"} <= changing
    assert not any(path.rpartition("/")[2].startswith(verbs) for path in READ_PATHS)
