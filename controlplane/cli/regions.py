"""`controlplane region`: where namespaces can be."""

from temporalio.api.cloud.cloudservice.v1 import GetRegionsRequest

from controlplane.cli.command import command, group
from controlplane.cli.options import ApiOptions
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    notes,
    print_message,
    results,
    table,
)

app = group()


@app.callback()
def region() -> None:
    """Show where namespaces can be."""  # Without it, one command is no group.


@app.command("list")
@command
async def list_regions(*, api: ApiOptions, output: OutputOption = OutputFormat.TABLE) -> None:
    """List the regions in which there are cells for namespaces."""
    async with api.connect() as opened:
        found = await opened.cloud.cloud_service.get_regions(GetRegionsRequest(), retry=True)
    if output is OutputFormat.JSON:
        print_message(found)
        return
    if not found.regions:
        notes().print("There are no regions: no cell takes namespaces yet.")
        return
    rows = table("REGION", "LOCATION")
    for each in found.regions:
        rows.add_row(each.id, each.location)
    results().print(rows)
