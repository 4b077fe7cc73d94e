"""The embedded fleet of a home: up, down, and what it exports."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from controlplane.local.fleet_secrets import OWNER_API_KEY, read_text
from controlplane.local.home import FleetRecord, Home, HomeRefused
from controlplane.local.preparation import choose, fetch_servers, open_secrets, prepare
from controlplane.local.prometheus import PROGRAM_VARIABLE
from controlplane.local.startup import Progress, Startup
from controlplane.local.supervisor import Supervisor

_WAITING = "waiting: another `controlplane up` or `down` is at work here"
_NO_PROMETHEUS = (
    "no program `prometheus`: rollouts bake on health and canaries alone (install it, or name it "
    f"in {PROGRAM_VARIABLE}, and run `controlplane up` again)"
)


@dataclass(frozen=True)
class Fleet:
    """One home's fleet."""

    home: Home

    async def up(self, progress: Progress, server_version: str | None = None) -> FleetRecord:
        """Make everything run and answer that does not; what is fine already is left alone.

        `server_version` is what the cells of a new home run; without it, the one that we bring.
        """
        self.home.prepare()
        supervisor = Supervisor(self.home)
        async with self.home.locked(lambda: progress.note(_WAITING)):
            if lost := await supervisor.stop_orphans():
                progress.note(f"stopped what had lost its supervisor: {', '.join(sorted(lost))}")
            await fetch_servers(
                self.home,
                server_version,
                lambda version: progress.note(f"fetching Temporal server {version}"),
            )
            async with self.home.record_locked():
                running = [name for name, s in (await supervisor.statuses()).items() if s.up]
                record, changes = await choose(self.home, running, server_version)
                fleet = await prepare(self.home, record)
                await supervisor.ensure_running(fleet.programs)
            for change in changes:
                progress.note(change)
            if not record.prometheus_program:
                progress.note(_NO_PROMETHEUS)
            account = await Startup(fleet, supervisor, progress).run()
            async with self.home.record_locked():
                record = replace(self.home.load(), account=account)
                self.home.save(record)
            return record

    async def down(self, note: Callable[[str], None], *, delete: bool) -> None:
        """Stop everything this home started, and nothing else; then remove the home if asked to."""
        self.home.load()
        async with self.home.locked(lambda: note(_WAITING)):
            await Supervisor(self.home).shut_down()
            if delete:
                self.home.delete()

    async def exports(self) -> dict[str, str]:
        """Return the variables that point clients at this fleet, the owner's API key included."""
        record = self.home.load()
        if not record.account:
            raise HomeRefused(f"the fleet in {self.home.path} never came up: run `controlplane up`")
        return {
            "CONTROLPLANE_HOME": str(self.home.path),
            "CONTROLPLANE_ADDRESS": record.address("api"),
            "CONTROLPLANE_TLS_ADDRESS": record.address("api-tls"),
            "CONTROLPLANE_URL": f"http://{record.address('api-http')}",
            "CONTROLPLANE_CA_FILE": str(self.home.ca_file),
            "CONTROLPLANE_API_KEY": await read_text(open_secrets(self.home), OWNER_API_KEY),
            "CONTROLPLANE_ACCOUNT": record.account,
        }
