# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole live update of a manager's VM beside one of nobody's."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.process import Run
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import registry, vm_commands
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Deadlines
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.command.backend import CommandBackend
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.backend import QemuBackend
from tests.fake.vm.granted import Granted
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import arm, live, request, result

COMMANDS = vm_commands.parse(
    {
        "pid_file": "/run/vms/{name}.pid",
        **{key: ["/bin/vm", key, "{name}"] for key in ("save", "saved", "restore", "discard")},
    },
    "",
)


class Manager:
    """A manager of VM 100 on a fake node.

    ``wrong``: programs that fail.
    """

    name, check = CommandBackend.name, staticmethod(CommandBackend.check)

    def __init__(self) -> None:
        self.root = Path("/none")
        self.saved = False
        self.wrong: set[str] = set()
        self.ran: list[str] = []
        self._pids = iter((41, 42, 43))

    def __call__(self, sysfs: Sysfs, run: Run, deadlines: Deadlines) -> CommandBackend:
        wanted = Deadlines(vm_commands=(COMMANDS,), start_s=0.1, answer_s=0.1)
        return CommandBackend(sysfs, run, wanted, sleep=lambda _seconds: None, run_for=self.run)

    def start(self, *more: str) -> None:
        pid = next(self._pids)
        proc = self.root / f"proc/{pid}"
        (proc / "fd").mkdir(parents=True)
        (proc / "exe").symlink_to("/usr/bin/qemu-system-x86_64")
        for name, text in Granted().files(pid, "100.scope").items():
            (proc / name).write_text(text)
        (proc / "cmdline").write_text("\0".join(("kvm", "-id", "100", "-pidfile", "/run/vms/100.pid", *more, "")))
        (self.root / "run/vms").mkdir(parents=True, exist_ok=True)
        (self.root / "run/vms/100.pid").write_text(str(pid))

    def end(self) -> None:
        file = self.root / "run/vms/100.pid"
        shutil.rmtree(self.root / "proc" / file.read_text())
        file.unlink()

    def run(self, argv: Sequence[str], _seconds: float | None = None) -> str:
        verb = argv[1]
        self.ran += [verb] if verb != "saved" else []
        if verb in self.wrong:
            raise ToolError(argv, 5, "storage 'local' is not online")
        if verb == "saved" and not self.saved:
            raise ToolError(argv, 1, "")
        if verb == "save":
            self.end()
            self.saved = True
        elif verb == "restore":
            self.start("-loadstate", "/dev/pve/vm-100-state")
            self.saved = False
        return ""


@pytest.fixture
def manager() -> Manager:
    return Manager()


@pytest.fixture
def node(tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    """A QEMU with VF 6, and VM 100 of a manager."""
    monkeypatch.setattr(registry, "CLASSES", (manager, QemuBackend))
    node = FakeNode(tmp_path)
    monkeypatch.setattr(qmp, "_peer_pid", node.pid_of)
    manager.root = node.host.root
    node.put("/bin/vm", "")
    (manager.root / "bin/vm").chmod(0o755)
    node.vm("web1", node.igb(), 6)
    manager.start()
    node.host.draw()
    return node


def results(node: FakeNode) -> Mapping[str, Any]:
    return {vm["name"]: vm["result"] for vm in result(node)["vms"]}


def names(vms: Collection[Any]) -> dict[str, str]:
    return {vm.name: vm.backend for vm in vms}


def test_both_are_updated(node: FakeNode, manager: Manager) -> None:
    manifest = arm(node)
    assert names(manifest.vms) == {"100": "command", "web1": "qemu"}
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert manager.ran == ["save"]
    assert resume.resume(node.live) == "done"
    assert manager.ran == ["save", "restore"]
    assert results(node) == {"100": "restored", "web1": "restored"}


def test_a_save_that_fails_lets_both_go_on(node: FakeNode, manager: Manager) -> None:
    arm(node)
    manager.wrong = {"save"}
    assert save.run(node.live) == "aborted"
    assert node.live.backends["command"].pid("100") == 41
    assert live(node, "web1").status == "running"


def test_a_restore_that_fails_is_typed_again(node: FakeNode, manager: Manager) -> None:
    arm(node)
    with pytest.raises(Rebooted):
        save.run(node.live)
    manager.wrong = {"restore"}
    assert resume.resume(node.live) == "failed"
    assert results(node) == {"100": "failed", "web1": "restored"}
    assert manager.saved


def test_one_that_its_manager_has_started_meanwhile_is_completed(node: FakeNode, manager: Manager) -> None:
    arm(node)
    with pytest.raises(Rebooted):
        save.run(node.live)
    manager.run(["/bin/vm", "restore", "100"])
    assert resume.resume(node.live) == "done"
    assert manager.ran == ["save", "restore"]
    assert results(node) == {"100": "restored", "web1": "restored"}


def test_preflight(node: FakeNode, manager: Manager) -> None:
    (manager.root / "bin/vm").chmod(0o644)
    _facts, verdict = _arm.examine(node.live, request())
    assert [str(item) for item in verdict.refusals] == [
        "VM 100 (process 41): /bin/vm of vm_commands is no program that root can run here: install it, or correct its "
        "path"
    ]
