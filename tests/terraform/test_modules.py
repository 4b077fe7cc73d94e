"""The modules of `terraform/`: as Terraform, checkov and the control plane want them.

Real Terraform and the real providers' schemas; what the clouds answer is pretended, and nothing
was ever applied to one.
"""

import json
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from cells.providers.aws import permissions
from cells.providers.gcp import preflight
from cells.providers.types import Cluster, Foundation
from cells.types import Provider
from tests.failures import CHECKOV
from tests.terraform.cell_roots import GIVEN, PROVIDERS_ONLY, ROOTS
from tests.terraform.stand_in import StandIn, stand_in
from tests.terraform.tools import tool_environment

TERRAFORM = Path(__file__).parent.parent.parent / "terraform"
MODULES = sorted(
    str(versions.parent.relative_to(TERRAFORM))
    for versions in (TERRAFORM / "modules").rglob("versions.tf")
)
CELLS = {Provider.AWS: "cell-aws", Provider.GCP: "cell-gcp"}
LOCK = Path(__file__).parent / "checkov.lock"

_PATIENCE = 300
"""Seconds for one run of Terraform or checkov, on a machine that other tests keep busy."""
pytestmark = pytest.mark.timeout(4 * _PATIENCE)
READ_BY_CHECKOV = pytest.mark.xdist_group(CHECKOV)
"""In one process, so that checkov runs once."""
_SHORTEST_REASON = 20
_EXCEPTION = re.compile(r"#checkov:skip=(\w+)(?::(.*))?")


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """A `terraform` for those who make nothing in its cloud."""
    return stand_in(tmp_path_factory.mktemp("modules") / "terraform")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of `terraform/`: what init leaves there is not the checkout's."""
    return Path(shutil.copytree(TERRAFORM, tmp_path / "copy"))


def run(terraform: StandIn, folder: Path, *arguments: str) -> str:
    """Run Terraform in a folder and return what it says; fail with it when it fails."""
    done = subprocess.run(
        [terraform.program, *arguments],
        cwd=folder,
        env={**terraform.env, "TF_IN_AUTOMATION": "1"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_files_are_formatted_as_terraform_formats_them(core: StandIn) -> None:
    assert run(core, TERRAFORM, "fmt", "-check", "-recursive", "-diff") == ""


@pytest.mark.parametrize("module", MODULES)
def test_a_module_passes_its_own_tests(core: StandIn, checkout: Path, module: str) -> None:
    folder = checkout / module
    run(core, folder, "init", "-backend=false", "-input=false", "-no-color")
    said = run(core, folder, "test", "-no-color")
    assert re.search(r"Success! [1-9]\d* passed, 0 failed\.", said)


def test_the_example_is_valid_and_can_be_planned(core: StandIn, checkout: Path) -> None:
    example = checkout / "environments" / "example"
    run(core, example, "init", "-input=false", "-no-color")
    run(core, example, "validate", "-no-color")
    assert "0 to change, 0 to destroy" in run(core, example, "plan", "-input=false", "-no-color")


@pytest.mark.parametrize("provider", CELLS, ids=str)
def test_a_cell_is_made_once_carries_its_tags_and_goes_whole(
    terraform: StandIn, checkout: Path, provider: Provider
) -> None:
    root = checkout / "root"
    root.mkdir()
    (root / "main.tf").write_text(ROOTS[provider])
    run(terraform, root, "init", "-input=false", "-no-color")
    run(terraform, root, "apply", "-auto-approve", "-input=false", "-no-color")

    assert "No changes." in run(terraform, root, "plan", "-input=false", "-no-color")
    unlabelled = [
        resource["address"]
        for resource in resources(json.loads(run(terraform, root, "show", "-json"))["values"])
        if not is_labelled(resource["values"])
    ]
    assert unlabelled == [], "the sweep after a cell would not find them"

    unprotected = ("-auto-approve", "-input=false", "-no-color", "-var", "protected=false")
    run(terraform, root, "apply", *unprotected)
    run(terraform, root, "destroy", *unprotected)
    assert not any(terraform.cloud.census().values())


def resources(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the managed resources of a state, also those of its modules' modules."""

    def within(module: dict[str, Any]) -> list[dict[str, Any]]:
        children = [each for child in module.get("child_modules", []) for each in within(child)]
        return [*module.get("resources", []), *children]

    found = within(values["root_module"])
    return [resource for resource in found if resource["mode"] == "managed"]


def is_labelled(values: dict[str, Any]) -> bool:
    """Return whether a resource says whose it is, or cannot."""
    names = ("tags", "labels", "resource_labels", "user_labels")
    places = [values, *values.get("settings", []), *values.get("node_config", [])]
    labels = [place[name] for place in places for name in names if name in place]
    labels = [each for each in labels if not isinstance(each, list)]
    return not labels or any((each or {}).get("controlplane-uid") == "k7m2p9qx" for each in labels)


@pytest.fixture(scope="module")
def checkov() -> dict[str, Any]:
    """What checkov says of everything in `terraform/`."""
    done = subprocess.run(
        [
            *(tool_environment(LOCK), "-m", "checkov.main", "--directory", TERRAFORM),
            *("--framework", "terraform", "--skip-path", "tests"),
            *("--skip-download", "--output", "json"),
        ],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert done.stdout.startswith("{"), done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@READ_BY_CHECKOV
def test_checkov_has_nothing_against_the_modules(checkov: dict[str, Any]) -> None:
    failed = [
        f"{check['check_id']} {check['resource']}" for check in checkov["results"]["failed_checks"]
    ]
    assert failed == []
    assert checkov["summary"]["passed"] > 100
    assert checkov["summary"]["parsing_errors"] == 0


@READ_BY_CHECKOV
def test_every_exception_from_checkov_has_a_reason_and_is_needed(checkov: dict[str, Any]) -> None:
    used = {
        (Path(check["file_abs_path"]).name, check["check_id"])
        for check in checkov["results"]["skipped_checks"]
    }
    written = {
        (file.name, check): reason or ""
        for file in TERRAFORM.rglob("*.tf")
        for check, reason in _EXCEPTION.findall(file.read_text())
    }
    assert all(len(reason) >= _SHORTEST_REASON for reason in written.values())
    assert set(written) == used


@pytest.mark.parametrize("provider", CELLS, ids=str)
def test_a_cell_has_the_outputs_that_a_foundation_is_made_of(provider: Provider) -> None:
    apart = {"account", "cluster"}
    assert {field.name for field in fields(Foundation)} >= apart
    wanted = {field.name for field in fields(Foundation)} - apart
    wanted |= {f"cluster_{field.name}" for field in fields(Cluster)}
    assert set(declared(CELLS[provider], "outputs.tf", "output")) == wanted | {"name_servers"}


@pytest.mark.parametrize("provider", CELLS, ids=str)
def test_a_cell_takes_what_the_control_plane_gives_it(provider: Provider) -> None:
    given = set(GIVEN[provider]) - PROVIDERS_ONLY
    taken = declared(CELLS[provider], "variables.tf", "variable")
    assert given <= set(taken)
    assert {name for name, body in taken.items() if "default " not in body} <= given


def test_aws_is_granted_what_the_control_plane_calls_and_nothing_else() -> None:
    assert granted("organization.json") == set(permissions.organization())
    assert granted("control-plane.json") == {
        *permissions.NAMES,
        *permissions.SECRETS,
        "sts:AssumeRole",
    }
    assert granted("delegation.json") == set(permissions.DELEGATION)


def test_gcp_is_granted_what_the_control_plane_looks_for_before_it_builds() -> None:
    assert role("folder") == {*preflight.FOLDER_PERMISSIONS, "resourcemanager.folders.get"}
    assert role("billing") == set(preflight.BILLING_PERMISSIONS)
    assert role("state") == {*preflight.STATE_PERMISSIONS, "storage.buckets.get"}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_takes_and_gives_in_its_readme(module: str) -> None:
    readme = (TERRAFORM / module / "README.md").read_text()
    for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
        names = declared(module.removeprefix("modules/"), file, kind)
        assert [name for name in names if f"`{name}`" not in readme] == []


def declared(module: str, file: str, kind: str) -> dict[str, str]:
    """Return the variables or outputs of a module: by name, what is written of each."""
    text = (TERRAFORM / "modules" / module / file).read_text()
    parts = re.split(rf'^{kind} "(\w+)"', text, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def granted(policy: str) -> set[str]:
    """Return the actions that a policy of the module for AWS allows."""
    text = (TERRAFORM / "modules/control-plane-aws/policies" / policy).read_text()
    actions = [statement["Action"] for statement in json.loads(text)["Statement"]]
    return {action for each in actions for action in ([each] if isinstance(each, str) else each)}


def role(name: str) -> set[str]:
    """Return the permissions of a custom role of the module for GCP."""
    file = TERRAFORM / "modules/control-plane-gcp/policies" / f"{name}.json"
    return set(json.loads(file.read_text())["permissions"])
