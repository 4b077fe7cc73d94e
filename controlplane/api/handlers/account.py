"""GetAccount and UpdateAccount: the caller's account."""

from temporalio.api.cloud.account.v1 import Account, AccountSpec
from temporalio.api.cloud.cloudservice.v1 import (
    GetAccountRequest,
    GetAccountResponse,
    UpdateAccountRequest,
    UpdateAccountResponse,
)
from temporalio.api.cloud.resource.v1 import ResourceState

from controlplane.errors import failed_precondition, invalid_argument
from controlplane.identity.types import Principal

# The one thing that an account's spec can hold is a metrics endpoint, which is not to be had.
_ONLY_VERSION = "1"


async def get_account(caller: Principal, _: GetAccountRequest) -> GetAccountResponse:
    return GetAccountResponse(
        account=Account(
            id=caller.account.id,
            spec=AccountSpec(),
            resource_version=_ONLY_VERSION,
            state=ResourceState.RESOURCE_STATE_ACTIVE,
        )
    )


async def update_account(caller: Principal, request: UpdateAccountRequest) -> UpdateAccountResponse:
    """Refuse: nothing of an account can be changed so far, and nothing is stored in vain."""
    if request.resource_version not in ("", _ONLY_VERSION):
        raise failed_precondition(
            f"account {caller.account.id} is at resource_version {_ONLY_VERSION!r}, not at "
            f"{request.resource_version[:100]!r}: read it again, and send your change with that"
        )
    if request.spec.HasField("metrics"):
        raise failed_precondition(
            "spec.metrics: this control plane has no metrics endpoint for client certificates: "
            "leave it out, and scrape GET /metrics of the HTTP API with an API key "
            "(authorization: Bearer <API key>)"
        )
    raise invalid_argument(f"nothing to change in account {caller.account.id}")
