"""Real Terraform keeps a cell's state in the stand-in's bucket, as the cell's service account."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cells.providers.gcp.cloud import GcpCloud
from tests.clouds.gcp.cells import BLUEPRINT
from tests.clouds.gcp.stand_in import StandIn
from tests.terraform.stand_in import StandIn as Terraform
from tests.terraform.stand_in import stand_in


@dataclass(frozen=True)
class Root:
    """A small root module with a backend."""

    terraform: Terraform
    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def write(
        cls,
        terraform: Terraform,
        folder: Path,
        backend: Mapping[str, str],
        environment: Mapping[str, str],
    ) -> "Root":
        settings = {key: value for key, value in backend.items() if key != "type"}
        root = {
            "terraform": {"backend": {backend["type"]: settings}},
            "resource": {"terraform_data": {"this": {"input": "made"}}},
        }
        folder.mkdir()
        (folder / "main.tf.json").write_text(json.dumps(root))
        return cls(terraform, folder, environment)

    async def run(self, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            self.terraform.program,
            *arguments,
            "-no-color",
            cwd=self.folder,
            env={**self.terraform.env, **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()


async def test_a_cell_s_state_is_kept_in_its_folder_locked_and_out_of_others_reach(
    gcp: StandIn, cloud: GcpCloud, tmp_path: Path
) -> None:
    account = await cloud.ensure_account(BLUEPRINT)
    environment = await cloud.environment(account)
    terraform = stand_in(tmp_path / "terraform", modules=())
    backend = cloud.backend(BLUEPRINT)
    root = Root.write(terraform, tmp_path / "mine", backend, environment)
    folder = f"cells/{BLUEPRINT.cell}-{BLUEPRINT.uid}"

    for arguments in (("init", "-input=false"), ("apply", "-auto-approve", "-input=false")):
        code, said = await root.run(*arguments)
        assert code == 0, said

    assert list(gcp.objects.kept) == [f"{folder}/default.tfstate"]
    state = json.loads(gcp.objects.kept[f"{folder}/default.tfstate"].content)
    assert state["resources"][0]["type"] == "terraform_data"
    gcp.objects.lock(f"{folder}/default.tflock", "somebody else")
    code, said = await root.run("plan", "-input=false")
    assert code != 0
    assert "somebody else" in said

    others = cloud.backend(replace(BLUEPRINT, uid="another1"))
    foreign = Root.write(terraform, tmp_path / "theirs", others, environment)
    code, said = await foreign.run("init", "-input=false")
    assert code != 0
    assert "denied" in said
