"""How the process of the command ends."""

import asyncio
import sys
from asyncio.subprocess import PIPE

import pytest

ENDING = """
import atexit, sys
from controlplane.__main__ import main
atexit.register(print, "torn down")
sys.argv = ["controlplane", *{arguments!r}]
main()
"""


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [(["certs", "--help"], 0), (["certs", "create-ca"], 2), (["namespace", "nonsense"], 2)],
)
async def test_a_process_ends_with_its_commands_exit_code_and_without_being_torn_down(
    arguments: list[str], exit_code: int
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ENDING.format(arguments=arguments), stdout=PIPE, stderr=PIPE
    )
    stdout, stderr = await process.communicate()

    assert process.returncode == exit_code, stderr.decode()
    assert (stdout + stderr) != b""
    assert b"torn down" not in stdout


async def test_a_reader_that_leaves_early_is_no_failure_of_the_output() -> None:
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m controlplane --help | head -1", stdout=PIPE, stderr=PIPE
    )
    _, stderr = await process.communicate()

    assert stderr == b""


async def test_an_unexpected_error_is_shown_and_exits_with_1() -> None:
    script = (
        "import sys; from controlplane.cli import app; from controlplane.__main__ import main;"
        "app.build = lambda: lambda: 1 / 0; main()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=PIPE, stderr=PIPE
    )
    _, stderr = await process.communicate()

    assert process.returncode == 1
    assert b"ZeroDivisionError" in stderr
