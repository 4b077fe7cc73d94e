"""The folder in which Terraform works on one cell: its root module, its variables, its backend."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cells.ingress.durable_file import replace_file
from cells.life.types import Blueprint
from cells.providers.ports import Variable
from cells.providers.types import Account
from cells.types import Provider
from controlplane.errors import rejected

PROTECTION = "deletion_protection"
"""The variable of a module that lets the cloud refuse to delete what holds data."""

_MODULES = "modules"
_ROOT = "main.tf.json"
_VARIABLES = "terraform.tfvars.json"
_OF_PROVIDER = frozenset({"external_id", "dns_role", "tags", "acts_as"})
"""What the configuration of a provider needs, and a module may not."""
_VARIABLE = re.compile(r'^variable\s+"(\w+)"', re.M)


@dataclass(frozen=True)
class Workspace:
    """What Terraform reads; nothing in it is secret, and nobody else may read it all the same."""

    folder: Path
    modules: Path
    blueprint: Blueprint
    account: Account

    @property
    def module(self) -> str:
        """The module's name, `cell-aws` or `cell-gcp`."""
        return f"cell-{self.blueprint.provider}"

    @property
    def has_protection(self) -> bool:
        return PROTECTION in self._declared()

    def write(self, variables: Mapping[str, Variable], backend: Mapping[str, str]) -> None:
        """Render the root module. Raise `rejected` for a variable that the module does not have."""
        declared = self._declared()
        unknown = sorted(set(variables) - declared - _OF_PROVIDER)
        if unknown:
            raise rejected(
                f"the module {self.module} in {self.modules} has no variable {', '.join(unknown)}: "
                "let CONTROLPLANE_TERRAFORM_MODULES name the modules of this version"
            )
        self._link_modules()
        self._put(_VARIABLES, variables)
        passed = {name: f"${{var.{name}}}" for name in variables if name in declared}
        settings = dict(backend)
        self._put(
            _ROOT,
            {
                "terraform": {"backend": {settings.pop("type"): _literal(settings)}},
                "variable": {name: {} for name in variables},
                "provider": self._providers(variables),
                "module": {
                    "cell": {
                        "source": f"./{_MODULES}/{self.module}",
                        "providers": self._passed_providers(),
                        **passed,
                    }
                },
                "resource": {
                    "terraform_data": {
                        "whole": {"input": self.blueprint.uid, "depends_on": ["module.cell"]}
                    }
                },
                "output": {"cell": {"value": "${module.cell}", "sensitive": True}},
            },
        )

    def _put(self, name: str, content: Mapping[str, Any]) -> None:
        replace_file(self.folder / name, json.dumps(content, indent=2).encode())

    def _link_modules(self) -> None:
        link, fresh = self.folder / _MODULES, self.folder / f".{_MODULES}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.modules, target_is_directory=True)
        fresh.replace(link)

    def _providers(self, variables: Mapping[str, Variable]) -> dict[str, Any]:
        region = self.blueprint.cloud_region
        match self.blueprint.provider:
            case Provider.AWS:
                aws: dict[str, Any] = {"region": region, "allowed_account_ids": [self.account.id]}
                if self.account.acts_as:
                    aws["assume_role"] = _assumed(_escaped(self.account.acts_as), variables)
                if "tags" in variables:
                    aws["default_tags"] = {"tags": "${var.tags}"}
                dns: dict[str, Any] = {"alias": "dns", "region": region}
                if variables.get("dns_role"):
                    dns["assume_role"] = _assumed("${var.dns_role}", {})
                return {"aws": [aws, dns] if "aws.dns" in self._aliases() else [aws]}
            case Provider.GCP:
                return {"google": {"project": self.account.id, "region": region}}

    def _passed_providers(self) -> dict[str, str]:
        name = {Provider.AWS: "aws", Provider.GCP: "google"}[self.blueprint.provider]
        return {each: each for each in (name, *self._aliases())}

    def _declared(self) -> set[str]:
        return set(_VARIABLE.findall(self._text()))

    def _aliases(self) -> list[str]:
        found = re.search(r"configuration_aliases\s*=\s*\[([^\]]*)\]", self._text())
        return re.findall(r"\w+\.\w+", found[1]) if found else []

    def _text(self) -> str:
        folder = self.modules / self.module
        files = sorted(folder.glob("*.tf"))
        if not files:
            raise rejected(
                f"there is no Terraform module in {folder}: let CONTROLPLANE_TERRAFORM_MODULES "
                "name the folder terraform/modules"
            )
        return "\n".join(file.read_text() for file in files)


def _assumed(role: str, variables: Mapping[str, Variable]) -> dict[str, str]:
    external = {"external_id": "${var.external_id}"} if variables.get("external_id") else {}
    return {"role_arn": role, "session_name": "controlplane", **external}


def _literal(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: _escaped(value) for name, value in settings.items()}


def _escaped(text: str) -> str:
    """Return text that stands for itself where Terraform reads templates."""
    return text.replace("${", "$${").replace("%{", "%%{")
