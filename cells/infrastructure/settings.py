"""Where Terraform is, where its modules are, and how patient we are with it."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

_PROGRAMS = ("terraform", "tofu")


@dataclass(frozen=True)
class InfrastructureSettings:
    program: Path
    """Terraform 1.9 or later, or OpenTofu."""
    modules: Path
    """The folder `terraform/modules`, with `cell-aws` and `cell-gcp` in it."""
    folder: Path
    """Where each cell has a working folder. Keep it over restarts: it is what a run is found by."""
    lock_patience: timedelta = timedelta(minutes=10)
    """How long somebody else may hold a state before we give up for now."""
    interrupt_grace: timedelta = timedelta(minutes=5)
    """How long Terraform may take to end, once it is asked to, before it is killed."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "InfrastructureSettings":
        """Read CONTROLPLANE_TERRAFORM (else `terraform` or `tofu` of PATH),
        CONTROLPLANE_TERRAFORM_MODULES and CONTROLPLANE_TERRAFORM_DIR.

        Raise ValueError that says what to set.
        """
        return cls(
            program=_program(env),
            modules=_folder(env, "CONTROLPLANE_TERRAFORM_MODULES"),
            folder=_folder(env, "CONTROLPLANE_TERRAFORM_DIR"),
        )


def _program(env: Mapping[str, str]) -> Path:
    named = env.get("CONTROLPLANE_TERRAFORM")
    for name in [named] if named else _PROGRAMS:
        found = shutil.which(name, path=env.get("PATH"))
        if found:
            return Path(found).absolute()
    if named:
        raise ValueError(f"CONTROLPLANE_TERRAFORM is {named!r}, which is no program")
    raise ValueError(
        "cells in clouds are made by Terraform, and neither terraform nor tofu is on PATH: "
        "install one, or set CONTROLPLANE_TERRAFORM to where it is"
    )


def _folder(env: Mapping[str, str], name: str) -> Path:
    value = env.get(name)
    if not value:
        raise ValueError(f"{name} is not set")
    return Path(value).absolute()
