"""`controlplane apikey`: keys that speak for users and service accounts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from temporalio.api.cloud.cloudservice.v1 import (
    CreateApiKeyRequest,
    DeleteApiKeyRequest,
    GetApiKeyRequest,
    GetApiKeysRequest,
    GetApiKeysResponse,
    GetCurrentIdentityRequest,
    UpdateApiKeyRequest,
)
from temporalio.api.cloud.identity.v1 import ApiKey, ApiKeySpec, OwnerType

from controlplane.cli.api import PAGE_SIZE, Api, repeatable
from controlplane.cli.command import command, example, group
from controlplane.cli.completion import complete_api_key, complete_service_account
from controlplane.cli.failures import NothingToChange, UsageError
from controlplane.cli.following import conclude
from controlplane.cli.machines import find_service_account
from controlplane.cli.new_key import hand_over
from controlplane.cli.options import ApiOptions, ChangeOptions, YesOption, confirm
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    notes,
    print_facts,
    print_message,
    results,
    table,
)

app = group("Create, list, disable and delete API keys.")

KeyArgument = Annotated[
    str,
    typer.Argument(
        metavar="KEY", help="The key's id.", show_default=False, autocompletion=complete_api_key
    ),
]
ServiceAccountOption = Annotated[
    str | None,
    typer.Option(
        help="The service account, by name or id.",
        show_default=False,
        autocompletion=complete_service_account,
    ),
]


@app.command(
    epilog=example(
        "controlplane apikey create --name ci --service-account deployer --out ci.key",
        'export TEMPORAL_API_KEY="$(controlplane apikey create --name laptop)"',
    )
)
@command
async def create(
    name: Annotated[str, typer.Option(help="What the key is called.", show_default=False)],
    service_account: ServiceAccountOption = None,
    expires_in_days: Annotated[
        int, typer.Option(min=1, metavar="DAYS", help="How long it is valid.")
    ] = 90,
    expires_at: Annotated[
        datetime | None,
        typer.Option(help="Until when, instead, in local time.", show_default=False),
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.", show_default=False)] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the key to this file, for its owner's eyes, and not to stdout.",
            show_default=False,
        ),
    ] = None,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Create an API key, for a service account or else for yourself.

    The key itself is shown this once; it is kept nowhere. It opens namespaces once every cell
    knows it, which is what this waits for.
    """
    if out is not None and out.exists():
        raise UsageError(f"{out} exists: name another file, or move that one away")
    operation = change.name_operation()
    async with api.connect() as opened:
        owner, owner_type = await _owner(opened, service_account)
        spec = ApiKeySpec(
            owner_id=owner, owner_type=owner_type, display_name=name, description=description
        )
        expiry = _expiry(expires_at, expires_in_days)
        spec.expiry_time.FromDatetime(expiry)
        request = CreateApiKeyRequest(spec=spec, async_operation_id=operation)
        with repeatable(operation, "--expires-at", f"{expiry:%Y-%m-%dT%H:%M:%S}"):
            created = await opened.cloud.cloud_service.create_api_key(request, retry=True)
        # Whatever happens next: it cannot be had again.
        hand_over(created, out, output)
        await conclude(opened, created.async_operation, change)


@app.command("list")
@command
async def list_keys(
    service_account: ServiceAccountOption = None,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the API keys that you may see, or those of one service account."""
    async with api.connect() as opened:
        owner = ""
        if service_account is not None:
            owner = (await find_service_account(opened, service_account)).id
        keys = await _keys(opened, owner)
    if output is OutputFormat.JSON:
        print_message(GetApiKeysResponse(api_keys=keys))
        return
    if not keys:
        notes().print("There are no API keys. Make one with: controlplane apikey create")
        return
    rows = table("KEY", "NAME", "OWNER", "STATE", "VALID UNTIL")
    for key in keys:
        rows.add_row(
            key.id,
            key.spec.display_name,
            key.spec.owner_id,
            _state(key),
            moment(key.spec.expiry_time.ToDatetime(UTC)),
        )
    results().print(rows)


@app.command()
@command
async def get(
    key: KeyArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Show what is known of an API key; not the key itself, which is kept nowhere."""
    async with api.connect() as opened:
        found = await _key(opened, key)
    if output is OutputFormat.JSON:
        print_message(found)
        return
    owner_type = OwnerType.Name(found.spec.owner_type).removeprefix("OWNER_TYPE_")
    print_facts(
        [
            ("Key", found.id),
            ("Name", found.spec.display_name),
            ("Description", found.spec.description),
            ("Owner", f"{found.spec.owner_id} ({owner_type.lower().replace('_', ' ')})"),
            ("State", _state(found)),
            ("Created", moment(found.created_time.ToDatetime(UTC))),
            ("Valid until", moment(found.spec.expiry_time.ToDatetime(UTC))),
            ("Version", found.resource_version),
        ]
    )


@app.command()
@command
async def disable(
    key: KeyArgument,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Make an API key open nothing, until it is enabled again."""
    await _set_disabled(key, change, api, output, disabled=True)


@app.command()
@command
async def enable(
    key: KeyArgument,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Let an API key that was disabled count again."""
    await _set_disabled(key, change, api, output, disabled=False)


@app.command()
@command
async def delete(
    key: KeyArgument,
    yes: YesOption = False,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Delete an API key: it opens nothing any more, for good."""
    confirm(f"Delete API key {key}?", yes)
    operation = change.name_operation()
    async with api.connect() as opened:
        found = await _key(opened, key)
        request = DeleteApiKeyRequest(
            key_id=key,
            resource_version=found.resource_version,
            async_operation_id=operation,
        )
        with repeatable(operation):
            answer = await opened.cloud.cloud_service.delete_api_key(request, retry=True)
        ended = await conclude(opened, answer.async_operation, change)
    if output is OutputFormat.JSON:
        print_message(ended)


def _expiry(at: datetime | None, days: int) -> datetime:
    """Return when the key expires, in local time and to the second: as it can be said again."""
    if at is not None:
        return at.astimezone()
    return datetime.now().astimezone().replace(microsecond=0) + timedelta(days=days)


async def _owner(api: Api, service_account: str | None) -> tuple[str, OwnerType.ValueType]:
    """Return whom the key is to speak for: the service account, or else the caller."""
    if service_account is not None:
        found = await find_service_account(api, service_account)
        return found.id, OwnerType.OWNER_TYPE_SERVICE_ACCOUNT
    caller = await api.cloud.cloud_service.get_current_identity(
        GetCurrentIdentityRequest(), retry=True
    )
    if caller.HasField("service_account"):
        return caller.service_account.id, OwnerType.OWNER_TYPE_SERVICE_ACCOUNT
    return caller.user.id, OwnerType.OWNER_TYPE_USER


async def _keys(api: Api, owner: str) -> list[ApiKey]:
    found: list[ApiKey] = []
    page_token = ""
    while True:
        request = GetApiKeysRequest(page_size=PAGE_SIZE, page_token=page_token, owner_id=owner)
        page = await api.cloud.cloud_service.get_api_keys(request, retry=True)
        found.extend(page.api_keys)
        page_token = page.next_page_token
        if not page_token:
            return found


async def _key(api: Api, key: str) -> ApiKey:
    request = GetApiKeyRequest(key_id=key)
    return (await api.cloud.cloud_service.get_api_key(request, retry=True)).api_key


async def _set_disabled(
    key: str, change: ChangeOptions, api: ApiOptions, output: OutputFormat, *, disabled: bool
) -> None:
    operation = change.name_operation()
    async with api.connect() as opened:
        found = await _key(opened, key)
        if found.spec.disabled == disabled:
            raise NothingToChange(f"nothing to change: key {key} is {_state(found)}")
        found.spec.disabled = disabled
        request = UpdateApiKeyRequest(
            key_id=key,
            spec=found.spec,
            resource_version=found.resource_version,
            async_operation_id=operation,
        )
        with repeatable(operation):
            answer = await opened.cloud.cloud_service.update_api_key(request, retry=True)
        ended = await conclude(opened, answer.async_operation, change)
    if output is OutputFormat.JSON:
        print_message(ended)


def _state(key: ApiKey) -> str:
    if key.spec.expiry_time.ToDatetime(UTC) <= datetime.now(UTC):
        return "expired"
    return "disabled" if key.spec.disabled else "valid"
