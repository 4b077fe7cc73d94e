import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.local.home import FleetRecord, Home
from controlplane.local.processes import SUPERVISOR, marked_processes
from controlplane.local.supervisor import ProgramState, Supervisor, SupervisorFailed
from controlplane.local.supervisord_config import Program, log_file, with_programs
from tests.eventually import eventually

SLEEP = (sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(600)")


@contextlib.asynccontextmanager
async def supervising(path: Path, *programs: Program) -> AsyncIterator[Supervisor]:
    home = Home(path)
    home.prepare()
    home.save(FleetRecord(str(path), "fleet.test"))
    home.folder("logs")
    supervisor = Supervisor(home)
    try:
        await supervisor.ensure_running(programs)
        for program in programs:
            await supervisor.start(program.name)

        async def all_run() -> bool:
            # A process carries its supervisor's mark until it has become its program.
            return running(path).keys() == {SUPERVISOR, *(program.name for program in programs)}

        await eventually(all_run)
        yield supervisor
    finally:
        await supervisor.shut_down()
        home.delete()


def running(path: Path) -> dict[str, int]:
    return {marked.program: marked.process.pid for marked in marked_processes(path)}


async def test_a_killed_program_is_restarted_and_counted(tmp_path: Path) -> None:
    async with supervising(tmp_path / "home", Program("sleeper", SLEEP)) as supervisor:

        async def has_run_for_a_second() -> bool:
            return (await supervisor.statuses())["sleeper"].state is ProgramState.RUNNING

        await eventually(has_run_for_a_second)
        before = (await supervisor.statuses())["sleeper"]
        assert before.restarts == 0
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)

        async def restarted() -> bool:
            now = (await supervisor.statuses())["sleeper"]
            return now.up and now.pid != before.pid and now.restarts == 1

        await eventually(restarted)


async def test_only_programs_that_changed_are_stopped_by_a_new_configuration(
    tmp_path: Path,
) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text("old")

    def programs() -> list[Program]:
        return [
            Program("same", SLEEP),
            Program("reader", SLEEP, reads=[settings]),
            Program("upgraded", SLEEP, version="1" if settings.read_text() == "old" else "2"),
        ]

    async with supervising(tmp_path / "home", *programs(), Program("left-out", SLEEP)) as one:
        before = running(tmp_path / "home")
        settings.write_text("new")
        await one.ensure_running([*programs(), Program("added", SLEEP)])
        after = running(tmp_path / "home")
        states = {name: status.state for name, status in (await one.statuses()).items()}

    assert after == {name: before[name] for name in ("same", SUPERVISOR)}
    assert states.keys() == {"same", "reader", "upgraded", "added"}
    assert states["reader"] == states["upgraded"] == states["added"] == ProgramState.STOPPED


async def test_a_program_is_configured_anew_without_those_that_are_due_for_it_too(
    tmp_path: Path,
) -> None:
    one, other = Program("one", SLEEP, version="1"), Program("other", SLEEP, version="1")
    newer_one, newer_other = replace(one, version="2"), replace(other, version="2")
    async with supervising(tmp_path / "home", one, other) as supervisor:
        before = running(tmp_path / "home")
        # As a process leaves it that dies before it has told supervisord.
        configuration = supervisor.home.path / "supervisord.conf"
        configuration.write_text(
            with_programs(configuration.read_text(), supervisor.home, [newer_other])
        )
        assert await supervisor.is_configured([one])
        assert not await supervisor.is_configured([newer_one])

        await supervisor.configure([newer_one])

        assert await supervisor.is_configured([newer_one])
        assert not await supervisor.is_configured([newer_other])
        assert running(tmp_path / "home") == {name: before[name] for name in ("other", SUPERVISOR)}


async def test_processes_that_lost_their_supervisor_are_found_and_stopped(tmp_path: Path) -> None:
    other = tmp_path / "home:2"  # Its name begins like the first one's mark.
    async with (
        supervising(tmp_path / "home", Program("sleeper", SLEEP)) as supervisor,
        supervising(other, Program("sleeper", SLEEP)),
    ):
        untouched = running(other)
        pid = await supervisor.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert await supervisor.statuses() == {}

        assert await supervisor.stop_orphans() == ["sleeper"]

        assert running(tmp_path / "home") == {}
        await supervisor.ensure_running([Program("sleeper", SLEEP)])
        await supervisor.start("sleeper")

        async def runs_again() -> bool:
            return running(tmp_path / "home").keys() == {"sleeper", SUPERVISOR}

        await eventually(runs_again)
        assert running(other) == untouched


async def test_nothing_that_is_looked_after_counts_as_lost(tmp_path: Path) -> None:
    async with supervising(tmp_path / "home", Program("sleeper", SLEEP)) as supervisor:
        before = running(tmp_path / "home")
        assert await supervisor.stop_orphans() == []
        assert running(tmp_path / "home") == before


async def test_shutting_down_leaves_no_process_and_touches_no_other_home(tmp_path: Path) -> None:
    async with (
        supervising(tmp_path / "one", Program("sleeper", SLEEP)) as supervisor,
        supervising(tmp_path / "two", Program("sleeper", SLEEP)),
    ):
        untouched = running(tmp_path / "two")
        await supervisor.shut_down()
        assert running(tmp_path / "one") == {}
        assert running(tmp_path / "two") == untouched
        await supervisor.shut_down()


async def test_nothing_of_the_callers_environment_reaches_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    async with supervising(tmp_path / "home", Program("sleeper", SLEEP, {"GREETING": "hi"})):
        environments = [m.process.environ() for m in marked_processes(tmp_path / "home")]
    assert len(environments) == 2
    assert not any("hunter2" in value for e in environments for value in e.values())
    assert any(e.get("GREETING") == "hi" for e in environments)


async def test_a_path_with_spaces_works(tmp_path: Path) -> None:
    home = tmp_path / "my own home"
    async with supervising(home, Program("sleeper", SLEEP, {"WHERE": str(home)})) as supervisor:

        async def logged() -> bool:
            return "awake" in log_file(supervisor.home, "sleeper").read_text()

        await eventually(logged)
        environments = [m.process.environ() for m in marked_processes(home)]
    assert any(e.get("WHERE") == str(home) for e in environments)


async def test_a_program_that_cannot_be_run_is_named_with_its_log(tmp_path: Path) -> None:
    async with supervising(tmp_path / "home") as supervisor:
        await supervisor.ensure_running([Program("typo", ["/no/such/program"])])
        with pytest.raises(SupervisorFailed, match=r"typo could not be started.*typo\.log"):
            await supervisor.start("typo")
