# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of the guard, by systemd's own parser."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import boot_trial_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import guard
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import boot_paths
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import PROGRAM

TEMPLATE = Path(__file__).parents[3] / "roles/kernel_deploy/templates/kvmfleet-sriov-boot-guard.service.j2"
BACK = TEMPLATE.with_name("kvmfleet-sriov-boot-back.service.j2")
MARK = boot_paths.GUARDED


def test_the_unit_and_the_program_mean_the_same() -> None:
    text = TEMPLATE.read_text()
    assert f"ConditionPathExists={boot_paths.TRIAL}\n" in text
    assert f"ExecStart={PROGRAM} boot-guard\n" in text
    assert f"RestartPreventExitStatus={guard.LOOK}\n" in text
    assert "IgnoreOnIsolate=yes" in text  # emergency.target is isolated


def test_the_way_back_rests_on_nothing_but_the_root() -> None:
    """Without /var, a unit that needs it does not start."""
    text = BACK.read_text()
    assert "IgnoreOnIsolate=yes" in text
    assert not re.search(r"RequiresMountsFor|/var|/usr/local|After=", "\n".join(text.splitlines()[2:]))
    assert f"ConditionKernelCommandLine={boot_trial_module.LEADING_BACK[-1]}\n" in text
    assert f"ExecStartPre=/bin/mkdir -p {MARK}\n" in TEMPLATE.read_text()


@pytest.mark.parametrize(
    ("started", "link", "expected"),
    [(False, "/dev/null", "reboot"), (True, "/dev/null", ""), (False, "anon_inode:kvm-vm", "")],
)
def test_it_goes_back_unless_the_guard_has_started_or_vms_run(
    tmp_path: Path, started: bool, link: str, expected: str
) -> None:
    line = next(line for line in BACK.read_text().splitlines() if line.startswith("ExecStart="))
    argv = shlex.split(line.removeprefix("ExecStart=").replace("{{ kernel_deploy_confirm_s | int }}", "7"))
    argv = [word.replace("$$", "$") for word in argv]  # systemd.service(5)
    (tmp_path / "proc/77/fd").mkdir(parents=True)
    (tmp_path / "proc/77/fd/5").symlink_to(link)
    (tmp_path / "bin").mkdir()
    for name in ("sleep", "systemctl"):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/{name}\n')
        (tmp_path / "bin" / name).chmod(0o755)
    assert argv[-1] == MARK
    argv = [*argv[:2], argv[2].replace("/proc", f"{tmp_path}/proc"), *argv[3:-1], f"{tmp_path}/mark"]
    if started:
        (tmp_path / "mark").mkdir()
    subprocess.run(argv, env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}, check=False)
    done = (tmp_path / "systemctl").read_text().strip() if (tmp_path / "systemctl").exists() else ""
    assert ((tmp_path / "sleep").read_text().strip(), done) == ("7", expected)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
@pytest.mark.parametrize("template", [TEMPLATE, BACK], ids=lambda path: path.name)
def test_systemd_understands_them(tmp_path: Path, template: Path) -> None:
    unit = tmp_path / template.name.removesuffix(".j2")
    text = template.read_text().replace("{{ ansible_managed }}", "x").replace(PROGRAM, "/bin/true")
    unit.write_text(text.replace("{{ kernel_deploy_confirm_s | int }}", "900"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count(unit.name)) == (0, 0), done.stderr
