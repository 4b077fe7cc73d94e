"""The servers of releases for an embedded fleet: fetched into its home when a release is made."""

import time
from datetime import timedelta

from controlplane.api.rollout_types import NewRelease
from controlplane.cli.connection import Connection
from controlplane.cli.failures import CommandFailed
from controlplane.cli.output import notes, seconds


async def fetch_server(release: NewRelease, connection: Connection) -> NewRelease:
    """Return the release with the hashes of its server's program, which is in the home then.

    Where the API is not that of the home's fleet, nothing is fetched.
    """
    # Imported late: releases of other fleets need nothing of it.
    from controlplane.local.failures import FleetFailed
    from controlplane.local.home import Home
    from controlplane.local.servers import Servers, artifacts

    try:
        home = Home.choose(None)
        if not home.exists:
            return release
        record = home.load()
        if connection.address not in (record.address("api"), record.address("api-tls")):
            return release
    except FleetFailed:
        # Without a readable home there is none to fetch anything for.
        return release
    version = release.server_version
    began = time.monotonic()
    console = notes()
    try:
        with console.status(f"Fetching Temporal server {version} into {home.path}"):
            await Servers.of(home).fetch(version)
    except FleetFailed as failure:
        raise CommandFailed(str(failure)) from failure
    took = seconds(timedelta(seconds=time.monotonic() - began))
    console.print(f"  ✓ Temporal server {version} is in {home.path} ({took})", markup=False)
    return release.model_copy(update={"artifacts": {**artifacts(version), **release.artifacts}})
