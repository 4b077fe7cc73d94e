"""What every command says of itself."""

from collections.abc import Iterator
from importlib import import_module

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from controlplane.cli.app import IMPORTED_LATE, build

# What commands answer in: those without a choice print a file, or follow one.
ANSWERS_AS_IT_IS = {"logs", "demo", "worker", "api", "dns", "audit export"}


def commands() -> Iterator[tuple[str, object]]:
    """Yield every command by its name, groups opened."""
    root = get_command(build())
    assert isinstance(root, TyperGroup)
    for name, command in root.commands.items():
        late = IMPORTED_LATE.get(name)
        yield from _within(name, get_command(import_module(late[0]).app) if late else command)


def _within(name: str, command: object) -> Iterator[tuple[str, object]]:
    if not isinstance(command, TyperGroup):
        yield name, command
        return
    for inner, part in command.commands.items():
        yield from _within(f"{name} {inner}", part)


ALL = dict(commands())


@pytest.mark.parametrize("name", ALL)
def test_a_command_says_what_it_does_and_what_each_option_means(name: str) -> None:
    command = ALL[name]

    assert command.help  # type: ignore[attr-defined]
    for parameter in command.params:  # type: ignore[attr-defined]
        said = parameter.help or getattr(parameter, "metavar", "") or parameter.name == "output"
        assert said, f"{parameter.name} of {name} is not explained"


@pytest.mark.parametrize("name", [name for name in ALL if name not in ANSWERS_AS_IT_IS])
def test_a_command_answers_programs_in_json(name: str) -> None:
    options = {option for parameter in ALL[name].params for option in parameter.opts}  # type: ignore[attr-defined]

    assert "--output" in options
