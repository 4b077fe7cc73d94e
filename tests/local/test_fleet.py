import asyncio
import json
import shlex
import stat
import sys
from ipaddress import ip_address
from pathlib import Path

import dns.asyncquery
import dns.message
import psutil
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
)
from temporalio.client import Client

from controlplane.local.cells import CELLS
from controlplane.local.control_plane import PROGRAMS
from controlplane.local.home import Home
from controlplane.local.ports import LOOPBACK
from controlplane.local.preparation import open_secrets
from controlplane.local.processes import SUPERVISOR, marked_processes
from controlplane.local.prometheus import PROMETHEUS, prometheus_program
from tests.eventually import eventually
from tests.fleet import RunningFleet, controlplane, running_fleet

EVERYTHING = {*PROGRAMS, *(program for cell in CELLS for program in cell.programs)}
if prometheus_program(recorded=""):
    # The machine has one, so every fleet here runs it.
    EVERYTHING.add(PROMETHEUS)
REPAIRED_WITHIN = 120


def pids(home: Path) -> dict[str, int]:
    return {marked.program: marked.process.pid for marked in marked_processes(home)}


def listeners(ports: set[int]) -> list[str]:
    return [
        f"{connection.laddr.port}: {psutil.Process(connection.pid).cmdline()}"
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr
        and connection.laddr.port in ports
    ]


async def test_up_starts_everything_and_status_shows_it(fleet: RunningFleet) -> None:
    status = await fleet.status()
    assert status["up"]
    assert {process["name"] for process in status["processes"]} == EVERYTHING
    assert [(c["region"], c["ring"], c["healthy"]) for c in status["cells"]] == [
        ("aws-us-east-1", 0, True),
        ("aws-us-west-2", 1, True),
        ("gcp-us-central1", 2, True),
        ("aws-us-east-1", 3, True),
    ]
    assert {cell["version"] for cell in status["cells"]} == {status["versions"]["temporal"]}


async def test_a_second_up_changes_nothing(fleet: RunningFleet) -> None:
    before = pids(fleet.home)
    again = await fleet.cli("up")
    assert again.code == 0, again.err
    assert pids(fleet.home) == before


async def test_the_exports_can_be_evaluated_by_a_shell(fleet: RunningFleet) -> None:
    printed = (await fleet.cli("env")).out
    script = f'{printed}\nprintf \'%s\\n\' "$CONTROLPLANE_HOME" "$CONTROLPLANE_API_KEY"'
    shell = await asyncio.create_subprocess_exec("sh", "-c", script, stdout=asyncio.subprocess.PIPE)
    out, _ = await shell.communicate()
    assert out.decode().split() == [str(fleet.home), fleet.api_key]
    assert [line.split("=")[0] for line in shlex.split(printed) if "=" in line] == [
        "CONTROLPLANE_HOME",
        "CONTROLPLANE_ADDRESS",
        "CONTROLPLANE_TLS_ADDRESS",
        "CONTROLPLANE_URL",
        "CONTROLPLANE_CA_FILE",
        "CONTROLPLANE_API_KEY",
        "CONTROLPLANE_ACCOUNT",
    ]
    assert fleet.ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")


async def test_every_program_that_is_killed_comes_back(fleet: RunningFleet) -> None:
    before = {program: await fleet.kill(program) for program in EVERYTHING}

    async def all_back() -> bool:
        programs = await fleet.programs()
        return all(programs[name].up and programs[name].pid != before[name] for name in EVERYTHING)

    async def healthy() -> bool:
        return (await fleet.cli("status")).code == 0

    await eventually(all_back, within=REPAIRED_WITHIN)
    await eventually(healthy, within=REPAIRED_WITHIN, every=1)


async def test_status_names_what_is_down_and_up_repairs_it(fleet: RunningFleet) -> None:
    cell = CELLS[1]
    await fleet.stop(cell.envoy, "dns")
    down = await fleet.cli("status", "-o", "json")
    status = json.loads(down.out)
    assert down.code == 1
    assert not status["up"]
    assert {p["name"] for p in status["processes"] if not p["up"]} == {cell.envoy, "dns"}
    (problem,) = next(c["problems"] for c in status["cells"] if c["id"] == cell.id)
    assert "the ingress" in problem

    repaired = await fleet.cli("up")
    assert repaired.code == 0, repaired.err
    assert (await fleet.cli("status")).code == 0


async def test_up_repairs_a_fleet_that_lost_its_supervisor(fleet: RunningFleet) -> None:
    before = pids(fleet.home)
    psutil.Process(before[SUPERVISOR]).kill()

    repaired = await fleet.cli("up")

    assert repaired.code == 0, repaired.err
    after = list(marked_processes(fleet.home))
    assert sorted(m.program for m in after) == sorted({*EVERYTHING, SUPERVISOR})
    assert not {m.process.pid for m in after} & set(before.values())
    assert (await fleet.cli("status")).code == 0


async def test_every_socket_is_on_loopback(fleet: RunningFleet) -> None:
    listening = {
        (ip_address(connection.laddr.ip), connection.laddr.port)
        for marked in marked_processes(fleet.home)
        for connection in marked.process.net_connections("inet")
        if connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE) and connection.laddr
    }
    # A server that also speaks IPv6 shows an IPv4 address within one of IPv6.
    plain = {ip.ipv4_mapped or ip if ip.version == 6 else ip for ip, _ in listening}
    assert plain == {ip_address(LOOPBACK)}
    assert set(fleet.record.ports.values()) <= {port for _, port in listening}


async def test_no_secret_is_in_an_argument_a_variable_or_an_open_file(fleet: RunningFleet) -> None:
    store = open_secrets(Home(fleet.home))
    secrets = [(await store.get(name) or b"").decode("latin-1") for name in await store.names("")]
    assert len(secrets) > 10
    for marked in marked_processes(fleet.home):
        public = [*marked.process.cmdline(), *marked.process.environ().values()]
        assert not [s for s in secrets for text in public if s in text], marked.program
    others = stat.S_IRWXG | stat.S_IRWXO
    folders = [path for path in fleet.home.rglob("*") if path.is_dir()]
    assert not [path for path in folders if path.stat().st_mode & others]
    texts = [p.read_text("latin-1") for p in fleet.home.glob("logs/*")]
    texts += [p.read_text("latin-1") for p in fleet.home.glob("*.*") if p.name != "secrets.key"]
    assert not [secret for secret in secrets for text in texts if secret in text]


async def test_cells_take_global_namespaces_each_under_its_own_failover_version(
    fleet: RunningFleet,
) -> None:
    versions = {}
    for cell in CELLS:
        client = await Client.connect(fleet.record.address(f"{cell.id}.frontend"))
        with_retention = RegisterNamespaceRequest(
            namespace="failover-versions",
            is_global_namespace=True,
            workflow_execution_retention_period=Duration(seconds=86_400),
        )
        await client.workflow_service.register_namespace(with_retention)
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace="failover-versions")
        )
        assert described.is_global_namespace
        versions[cell.id] = described.failover_version
    assert versions == fleet.record.failover_versions
    assert sorted(versions.values()) == [1, 2, 3, 4]


async def test_every_cell_has_a_name_that_leads_to_its_ingress(fleet: RunningFleet) -> None:
    for cell in CELLS:
        answer = await dns.asyncquery.udp(
            dns.message.make_query(f"{cell.id}.cell.fleet.test", "A"),
            LOOPBACK,
            port=fleet.record.ports["dns"],
            timeout=30,
        )
        assert [str(record) for record in answer.answer[0]] == [LOOPBACK]


async def test_logs_are_shown(fleet: RunningFleet) -> None:
    shown = await fleet.cli("logs", "supervisord", "-n", "2")
    assert len(shown.out.splitlines()) == 2
    wrong = await fleet.cli("logs", "kitchen")
    assert wrong.code == 1
    assert "there is no process 'kitchen'; there are api, " in wrong.err


async def test_a_fleet_beside_another_is_removed_without_a_trace(
    fleet: RunningFleet, tmp_path: Path
) -> None:
    first = pids(fleet.home)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    async with running_fleet(closed / "home") as second:
        assert pids(second.home).keys() == {*EVERYTHING, SUPERVISOR}
        ports = set(second.record.ports.values())
        assert not ports & set(fleet.record.ports.values())
        outside = [Path(folder) for folder in second.record.outside_folders]

        stopped = await second.cli("down")
        assert stopped.code == 0, stopped.err
        assert pids(second.home) == {}
        assert listeners(ports) == []
    assert list(closed.iterdir()) == []
    assert not [folder for folder in outside if folder.exists()]
    assert pids(fleet.home) == first


async def test_a_folder_that_is_no_home_is_neither_stopped_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    refused = await controlplane("down", "--delete", home=tmp_path)
    assert refused.code == 1
    assert "there is no fleet in" in refused.err
    assert (tmp_path / "thesis.tex").exists()


async def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = "{'temporalio', 'grpc', 'psycopg', 'cryptography', 'dns'}"
    script = (
        "import sys; from controlplane.cli.app import build; build();"
        f" print(sorted({heavy} & sys.modules.keys()))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"
