"""Where the programs of the control plane come from, and what is said when they cannot be had."""

import os
from pathlib import Path

import pytest

from tests.kubernetes.binaries import PROGRAMS, KubernetesUnavailable, control_plane_binaries


async def test_programs_that_somebody_has_already_are_used(tmp_path: Path) -> None:
    for program in PROGRAMS:
        (tmp_path / program).touch()

    assert await control_plane_binaries({"KUBEBUILDER_ASSETS": str(tmp_path)}) == tmp_path


async def test_a_folder_that_lacks_programs_is_refused_and_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "etcd").touch()

    with pytest.raises(KubernetesUnavailable, match="has no kube-apiserver, kube-controller"):
        await control_plane_binaries({"KUBEBUILDER_ASSETS": str(tmp_path)})


async def test_a_build_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    archive = "http://127.0.0.1:9/debian"  # Nobody listens there.
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CONTROLPLANE_DEBIAN_ARCHIVE": archive}
    env.pop("KUBEBUILDER_ASSETS", None)

    with pytest.raises(KubernetesUnavailable, match=r"golang-1\.19(?s:.*)KUBEBUILDER_ASSETS"):
        await control_plane_binaries(env)

    assert [path for path in (tmp_path / "controlplane").iterdir() if path.is_dir()] == []
