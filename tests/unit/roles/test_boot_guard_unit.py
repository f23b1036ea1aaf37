# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit of the guard, by systemd's own parser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import guard
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import boot_paths
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import PROGRAM

TEMPLATE = Path(__file__).parents[3] / "roles/kernel_deploy/templates/kvmfleet-sriov-boot-guard.service.j2"


def test_the_unit_and_the_program_mean_the_same() -> None:
    text = TEMPLATE.read_text()
    assert f"ConditionPathExists={boot_paths.TRIAL}\n" in text
    assert f"ExecStart={PROGRAM} boot-guard\n" in text
    assert f"RestartPreventExitStatus={guard.LOOK}\n" in text
    assert "IgnoreOnIsolate=yes" in text  # emergency.target is isolated


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_understands_it(tmp_path: Path) -> None:
    unit = tmp_path / TEMPLATE.name.removesuffix(".j2")
    unit.write_text(TEMPLATE.read_text().replace("{{ ansible_managed }}", "x").replace(PROGRAM, "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count(unit.name)) == (0, 0), done.stderr
