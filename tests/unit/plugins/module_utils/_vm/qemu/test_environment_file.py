# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments of VMs that other users cannot read."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.update_paths import ENVIRONMENTS
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import environment_file
from tests.fake.linux.pf import FakePf
from tests.fake.vm.granted import Granted
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import arm, jump, live, result

UNIT = "kvmfleet-vm-web1.service"
SECRET = "TOKEN=hunter2 \"and\" 'more' $HOME \\ `x`"
VALUES = ("plain", "a b  ", "$HOME ${X} $$", 'back\\slash \\" q', 'it\'s "q" `x`', "# no ; comment", "% %h", "=x=")


def with_secret(node: FakeNode) -> None:
    for name, text in Granted([f"--setenv={SECRET}"]).files(live(node).pid, UNIT).items():
        node.put(f"/proc/{live(node).pid}/{name}", text)


def leftovers(node: FakeNode) -> list[Path]:
    return list((node.host.root / ENVIRONMENTS.lstrip("/")).glob("*"))


def test_no_variable_is_a_word_of_a_command(node: FakeNode, pf: FakePf) -> None:
    """`ps` shows those, and `systemctl show` what they set."""
    with_secret(node)
    jump(node)
    assert resume.resume(node.live) == "done"
    assert node.systemd.granted[UNIT].environment == [SECRET]
    assert not any("hunter2" in word for call in node.calls for word in call)
    assert leftovers(node) == []


def test_nothing_is_left_of_a_start_that_failed(node: FakeNode, pf: FakePf) -> None:
    """Nor does its error have the variables."""
    with_secret(node)
    jump(node)

    def fails(argv: list[str]) -> None:
        if argv[0] == "systemd-run" and f"--unit={UNIT}" in argv:
            raise ToolError(argv, 1, "Failed to start transient service unit")

    node.on_run = fails
    assert resume.resume(node.live) == "failed"
    error = str(result(node)["vms"][0]["error"])
    assert "Failed to start transient service unit" in error
    assert "hunter2" not in error
    assert leftovers(node) == []


def test_a_vm_without_variables_needs_no_file(node: FakeNode, pf: FakePf) -> None:
    for name, text in Granted().files(live(node).pid, UNIT).items():
        node.put(f"/proc/{live(node).pid}/{name}", text)
    arm(node)
    assert not (node.host.root / ENVIRONMENTS.lstrip("/")).exists()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd reads its own form: it is not installed")
@pytest.mark.parametrize("value", VALUES)
def test_systemd_reads_what_was_written(tmp_path: Path, value: str) -> None:
    """With the parser that also reads os-release: load_env_file of systemd."""
    file = tmp_path / "environment"
    file.write_text(environment_file.text_of(["ID=x", f"KEY={value}", "LINES=two\nlines", "NEXT=1"]))
    word = f"KEY={value}".replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    for condition, good in ((f'"{word}"', True), ("NEXT=1", True), ('"KEY=other"', False)):
        done = subprocess.run(
            ["systemd-analyze", "condition", f"ConditionOSRelease={condition}"], capture_output=True, text=True,
            env={**os.environ, "SYSTEMD_OS_RELEASE": str(file)}, check=False, timeout=60,
        )  # fmt: skip
        assert (done.returncode == 0) == good, (condition, done.stderr)
