import json
from pathlib import Path
from uuid import uuid4

import pytest

from cells.release import Release, SchemaStep
from controlplane.cli.failures import UsageError
from controlplane.cli.release_file import ReleaseOptions, read_release
from tests.cli.command import Cli

WHOLE = {
    "name": "1.31.2-tuned",
    "server_version": "1.31.2",
    "ingress_version": "1.40.0",
    "configuration": {"frontend.rps": 2400, "history.enabled": True, "a.ratio": 0.5, "b": "x"},
    "schema_steps": [{"store": "main", "version": "1.19"}],
    "minimum_from": "1.30.0",
    "patch_of": "1.31.1",
    "description": "for the busy ones",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "release.yaml"


def test_options_and_file_describe_the_same_release(file: Path) -> None:
    file.write_text(json.dumps(WHOLE))
    options = ReleaseOptions(
        server_version="1.31.2",
        ingress_version="1.40.0",
        set=["frontend.rps=2400", "history.enabled=true", "a.ratio=0.5", "b=x"],
        schema=["main=1.19"],
        minimum_from="1.30.0",
        patch_of="1.31.1",
        description="for the busy ones",
    )

    by_options = read_release("1.31.2-tuned", None, options)

    assert by_options == read_release(None, file, ReleaseOptions())
    assert by_options.release() == Release(
        "1.31.2-tuned",
        "1.31.2",
        "1.40.0",
        {"frontend.rps": 2400, "history.enabled": True, "a.ratio": 0.5, "b": "x"},
        (SchemaStep("main", "1.19"),),
        "1.30.0",
        "1.31.1",
        description="for the busy ones",
    )


def test_options_come_before_the_file_and_settings_beside_its_own(file: Path) -> None:
    file.write_text("name: a\nserver_version: 1.30.0\nconfiguration: {x: 1, y: 2}")

    release = read_release("a", file, ReleaseOptions(server_version="1.31.2", set=["y=3"]))

    assert release.server_version == "1.31.2"
    assert release.configuration == {"x": 1, "y": 3}


def test_a_one_way_step_belongs_to_a_release_that_finalizes_another() -> None:
    one_way = ReleaseOptions(server_version="1.31.2", schema=["main=1.20,one-way"])
    finalizing = ReleaseOptions(
        server_version="1.31.2", schema=["main=1.20,one-way"], finalizes="1.31.2"
    )

    with pytest.raises(UsageError, match="set finalizes to the name of the release"):
        read_release("1.31.2-final", None, one_way)
    assert read_release("1.31.2-final", None, finalizing).schema_steps == (
        SchemaStep("main", "1.20", one_way=True),
    )


@pytest.mark.parametrize(
    ("setting", "value"),
    [("a=2400", 2400), ("a=yes it is", "yes it is"), ("a='7'", "7"), ("a=", ""), ("a=[1]", "[1]")],
)
def test_a_setting_has_the_type_that_it_is_written_in(setting: str, value: int | str) -> None:
    release = read_release("a", None, ReleaseOptions(server_version="1.31.2", set=[setting]))

    assert release.configuration == {"a": value}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: a", "has no server version: give --server-version"),
        ("server_version: 1.31.2", "what is the release called?"),
        ("name: a\nserver_version: 1.31", "server_version is the number 1.31: put it in quotes"),
        ("name: a\nserver_version: new", "'new' is not a server version: write it like 1.31.2"),
        ("name: A\nserver_version: 1.31.2", "'A' is not a release's name"),
        ("name: a\nserver: 1.31.2", "has no server version"),
        ("name: a\nserver_version: 1.31.2\nschema: []", "schema means nothing. Did you mean sch"),
        ("- a", "is not one release: write its fields"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(text: str, says: str, file: Path) -> None:
    file.write_text(text)

    with pytest.raises(UsageError) as refusal:
        read_release(None, file, ReleaseOptions())

    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (ReleaseOptions(set=["frontend.rps"]), "--set 'frontend.rps' is not KEY=VALUE"),
        (ReleaseOptions(schema=["1.19"]), "--schema '1.19' is not STORE=VERSION"),
        (ReleaseOptions(schema=["main=1.19,now"]), "or STORE=VERSION,one-way"),
        (ReleaseOptions(schema=["side=1.19"]), "schema store 'side' is neither 'main' nor"),
        (ReleaseOptions(minimum_from="1.32.0"), "minimum_from 1.32.0 is newer than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_an_option_is_named(options: ReleaseOptions, says: str) -> None:
    complete = ReleaseOptions(**{**vars(options), "server_version": "1.31.2"})

    with pytest.raises(UsageError) as refusal:
        read_release("a", None, complete)

    assert says in str(refusal.value)


def test_a_file_of_another_name_is_not_taken_for_it(file: Path) -> None:
    file.write_text(json.dumps(WHOLE))

    with pytest.raises(UsageError, match=r"describes release '1.31.2-tuned', and .* says '1.32.0'"):
        read_release("1.32.0", file, ReleaseOptions())


async def test_a_release_is_created_shown_and_listed(cli: Cli) -> None:
    name = f"r-{uuid4().hex[:8]}"
    options = ("--server-version", "1.31.2", "--set", "frontend.rps=2400")

    created = await cli.run("release", "create", name, *options)
    shown = json.loads((await cli.run("release", "show", name, "-o", "json")).stdout)
    listed = await cli.run("release", "list")

    assert created.exit_code == 0, created.stderr
    assert f"Digest         {shown['digest']}" in created.stdout
    assert "Configuration  frontend.rps=2400" in created.stdout
    [row] = [line for line in listed.stdout.splitlines() if line.startswith(name)]
    assert row.split()[1:4] == ["1.31.2", shown["digest"][:12], "frontend.rps=2400"]


async def test_created_again_a_release_is_there_once_and_never_another(cli: Cli) -> None:
    name = f"r-{uuid4().hex[:8]}"
    create = ("release", "create", name, "-o", "json", "--server-version")

    first = await cli.run(*create, "1.31.2")
    again = await cli.run(*create, "1.31.2")
    other = await cli.run(*create, "1.32.0")

    assert json.loads(first.stdout) == json.loads(again.stdout)
    assert other.exit_code == 1
    assert f"release {name!r}" in other.stderr


async def test_a_release_that_corrects_none_is_refused(cli: Cli) -> None:
    refused = await cli.run(
        *("release", "create", "r-odd", "--server-version", "1.31.2", "--patch-of", "nothing")
    )

    assert refused.exit_code == 1
    assert "patch_of is 'nothing', and there is no such release" in refused.stderr


async def test_where_the_api_is_no_home_s_nothing_is_fetched(cli: Cli, tmp_path: Path) -> None:
    elsewhere = Cli({**cli.env, "CONTROLPLANE_HOME": str(tmp_path / "home")})

    created = await elsewhere.run(
        *("release", "create", f"r-{uuid4().hex[:8]}", "--server-version", "1.99.0", "-o", "json")
    )

    assert created.exit_code == 0, created.stderr
    assert json.loads(created.stdout)["release"]["artifacts"] == {}
    assert not (tmp_path / "home").exists()
