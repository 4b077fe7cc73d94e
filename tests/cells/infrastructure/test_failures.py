"""What is made of what Terraform reports."""

import json

import pytest
from temporalio.exceptions import ApplicationError

from cells.infrastructure.failures import TerraformFailed, failure, moved
from cells.infrastructure.messages import Diagnostic, message


@pytest.mark.parametrize(
    ("said", "type", "hint"),
    [
        ("StatusCode: 403, api error AccessDenied: not authorized: iam:X", "Rejected", "iam:X"),
        ("googleapi: Error 403: Permission 'a.b' denied, forbidden", "Rejected", "permission"),
        ("api error Throttling: Rate exceeded", "Throttled", "slow down"),
        ("api error RequestLimitExceeded: later", "Throttled", "slow down"),
        ("api error VpcLimitExceeded: 5 VPCs", "Rejected", "quota"),
        ("googleapi: Error 403: Quota 'CPUS' exceeded. Limit: 8", "Rejected", "CPUS"),
    ],
    ids=["denied-aws", "denied-gcp", "throttled", "rate", "quota-aws", "quota-gcp"],
)
def test_a_refusal_says_whether_to_try_again_and_what_to_do(
    said: str, type: str, hint: str
) -> None:
    raised = failure("terraform apply", [Diagnostic(said, address="module.cell.aws_vpc.this")])

    assert isinstance(raised, ApplicationError)
    assert raised.type == type
    assert raised.non_retryable == (type == "Rejected")
    assert hint in str(raised)
    assert "aws_vpc.this: " in str(raised)


def test_a_service_that_was_just_switched_on_is_tried_again() -> None:
    said = "Error 403: Cloud SQL API has not been used in project p before, accessNotConfigured"

    assert isinstance(failure("terraform apply", [Diagnostic(said)]), TerraformFailed)


def test_what_a_newer_module_has_moved_is_read_from_the_refusal_to_leave_it_out() -> None:
    detail = (
        "To create a valid plan, either remove your -target=... options altogether or add the "
        'following additional target options:\n  -target="module.cell.aws_lb.this[0]"\n'
        '  -target="module.cell.aws_subnet.this[\\"a\\"]"\n\nNote that adding these options…'
    )
    refused = Diagnostic("Moved resource instances excluded by targeting", detail)

    assert moved([refused]) == ["module.cell.aws_lb.this[0]", 'module.cell.aws_subnet.this["a"]']
    assert moved([Diagnostic("Invalid index", detail)]) == []


def test_an_error_is_told_with_the_line_of_the_module_it_arose_in() -> None:
    diagnostic = {
        "severity": "error",
        "summary": "Invalid index",
        "detail": "It has no elements.",
        "range": {"filename": "modules/cell-gcp/endpoint.tf", "start": {"line": 12}},
    }

    error = message(json.dumps({"type": "diagnostic", "diagnostic": diagnostic})).error

    assert error
    assert error.text == ("modules/cell-gcp/endpoint.tf:12: Invalid index: It has no elements.")


def test_work_on_a_resource_is_told_in_words() -> None:
    hook = {
        "resource": {"addr": "module.cell.aws_eks_cluster.this"},
        "action": "create",
        "elapsed_seconds": 130,
    }

    said = message(json.dumps({"type": "apply_progress", "hook": hook}))

    assert said.progress == "aws_eks_cluster.this: creating, 2m10s"
