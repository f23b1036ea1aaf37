# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The update-grub of role kernel_deploy, with the real grub-mkconfig."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.fake.boot.apt_root import AptRoot
from tests.fake.boot.grub import NEW, OLD, GrubRoot, missing
from tests.fake.boot.power_cut import Power

PROGRAM = Path(__file__).parents[3] / "roles/kernel_deploy/files/update-grub"
DEBIANS = ("grub-mkconfig", "-o", "/boot/grub/grub.cfg")
IMAGE = "linux-image-6.12.9-kvmfleet1"
needs_grub = pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {', '.join(missing())}")


@pytest.fixture
def root(tmp_path: Path) -> GrubRoot:
    """A root whose grub.cfg does not know the newest kernel yet."""
    made = GrubRoot.make(tmp_path / "root", OLD)
    made.settings("GRUB_DEFAULT=saved\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\n")
    made.update()
    made.install(NEW)
    return made


def cut_at_each_step(root: GrubRoot, power: Power, *argv: str) -> set[str]:
    """Contents of grub.cfg after a power cut at each step."""
    for program in ("/usr/sbin/grub-mkconfig", "/bin/chmod", "/bin/sync", "/bin/mv"):
        power.shim(program)
    power.shim("/bin/cat", only="*.new")  # grub-mkconfig has emptied its target by then
    configuration, found, step = root.folder / "boot/grub/grub.cfg", set(), 0
    before = configuration.read_text()
    path = f"PATH={power.programs}:{os.environ['PATH']}"
    while power.cut(step, lambda: root.within(["env", path, *argv])):
        found.add(configuration.read_text())
        configuration.write_text(before)
        step += 1
    return found


@needs_grub
def test_a_power_cut_leaves_the_old_or_the_new_one(root: GrubRoot, tmp_path: Path) -> None:
    configuration = root.folder / "boot/grub/grub.cfg"
    configuration.chmod(0o640)
    before, power = configuration.read_text(), Power(tmp_path / "power")
    found = cut_at_each_step(root, power, str(PROGRAM))
    after = configuration.read_text()
    assert f"vmlinuz-{NEW}" in after
    assert found == {before, after}
    assert configuration.stat().st_mode & 0o777 == 0o640  # it may have a password
    root.within([str(PROGRAM)])
    assert [path.name for path in configuration.parent.glob("grub.cfg*")] == ["grub.cfg"]


@needs_grub
def test_debians_own_leaves_nothing_to_boot(root: GrubRoot, tmp_path: Path) -> None:
    """Otherwise the test above would show nothing."""
    assert "" in cut_at_each_step(root, Power(tmp_path / "power"), *DEBIANS)


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not on this machine")
def test_hooks_of_packages_find_it(tmp_path: Path) -> None:
    host = AptRoot(tmp_path, IMAGE)
    host.variables["kernel_deploy_programs"] = str(PROGRAM.parent)
    host.hook.write_text(f"command -v update-grub >{tmp_path}/found")
    assert host.install().returncode == 0
    assert (tmp_path / "found").read_text().strip() == str(PROGRAM)
