"""`controlplane whoami`: whom the API key speaks for."""

from datetime import UTC

from temporalio.api.cloud.cloudservice.v1 import GetAccountRequest, GetCurrentIdentityRequest

from controlplane.cli.command import command, group
from controlplane.cli.options import ApiOptions
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    print_facts,
    print_message,
)
from controlplane.cli.roles import told, told_access

app = group()


@app.command()
@command
async def whoami(*, api: ApiOptions, output: OutputOption = OutputFormat.TABLE) -> None:
    """Show whom the API key speaks for, and what it may do."""
    async with api.connect() as opened:
        found = await opened.cloud.cloud_service.get_current_identity(
            GetCurrentIdentityRequest(), retry=True
        )
        account = await opened.cloud.cloud_service.get_account(GetAccountRequest(), retry=True)
    if output is OutputFormat.JSON:
        print_message(found)
        return
    key = found.principal_api_key
    if found.HasField("service_account"):
        machine = found.service_account
        who = [
            ("Service account", f"{machine.spec.name} ({machine.id})"),
            ("May", told(machine.spec)),
        ]
    else:
        user = found.user
        who = [("User", f"{user.spec.email} ({user.id})"), ("May", told_access(user.spec.access))]
    print_facts(
        [
            *who,
            ("Account", account.account.id),
            ("API key", f"{key.spec.display_name} ({key.id})"),
            ("Valid until", moment(key.spec.expiry_time.ToDatetime(UTC))),
        ]
    )
