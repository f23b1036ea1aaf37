# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed between its disks and its jump.

They are read-only then, and writable before any VM goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import abort, disks, save, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.update_paths import READ_ONLY
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import Killed, arm, live, phase

BEFORE = r"""/dev/vda / ext4 rw,relatime 0 0
/dev/vdb /srv/a\040disk ext4 rw 0 0
/dev/vdc /media iso9660 ro 0 0
tmpfs /run tmpfs rw 0 0
"""


@pytest.fixture
def killed(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    """A node whose run was killed right before reboot(2)."""
    monkeypatch.setattr(disks, "REMOUNT_S", 0.05)
    monkeypatch.setattr(abort, "REMOUNT_S", 0.05)
    node.put("/proc/mounts", BEFORE)
    arm(node)

    def reboot(_command: int) -> int:
        raise Killed

    object.__setattr__(node.live.kexec, "reboot", reboot)
    with pytest.raises(Killed):
        save.run(node.live)
    assert phase(node) == "kexec"
    assert mounts(node) == BEFORE.replace(" rw", " ro")
    return node


def mounts(node: FakeNode) -> str:
    return (node.host.root / "proc/mounts").read_text()


def refusing(node: FakeNode, folder: str) -> None:
    run = node.live.run

    def refused(argv: list[str]) -> str:
        if argv[0] == "mount" and argv[-1] == folder:
            raise ToolError(argv, 32, "cannot remount /dev/vdb read-write, is write-protected")
        return run(argv)

    object.__setattr__(node.live, "run", refused)


WAYS: dict[str, Callable[[FakeNode], str | None]] = {
    "recover": lambda node: abort.recover(node.live), "by hand": lambda node: way_out.restore(node.live, []),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_disks_are_writable_before_a_vm_goes_on(
    killed: FakeNode, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were, and no others."""
    seen, restored = [], type(killed.qemu).restore

    def restore(*given: Any) -> None:  # noqa: ANN401 - as it is given
        seen.append(mounts(killed))
        restored(*given)

    monkeypatch.setattr(type(killed.qemu), "restore", restore)
    assert WAYS[way](killed) == "aborted"
    (tmpfs,) = [line for line in BEFORE.splitlines() if line.startswith("tmpfs")]
    assert seen == [BEFORE.replace(tmpfs, tmpfs.replace(" rw", " ro"))]  # the fake's SysRq takes it too
    assert live(killed).status == "running"
    assert not (killed.host.root / READ_ONLY.lstrip("/")).exists()


@pytest.mark.parametrize("way", WAYS)
def test_no_vm_goes_on_while_a_disk_is_read_only(killed: FakeNode, way: str) -> None:
    refusing(killed, "/srv/a disk")
    with pytest.raises(SriovError, match=r"write-protected.*Type `mount -o remount,rw '/srv/a disk'`"):
        WAYS[way](killed)
    assert killed.live_vm("web1") is None
    assert phase(killed) == "kexec"
    killed.put("/proc/mounts", BEFORE)  # as a person has typed
    assert WAYS[way](killed) == "aborted"
    assert live(killed).status == "running"


def test_a_disk_that_is_gone_is_not_awaited(killed: FakeNode) -> None:
    killed.put("/proc/mounts", "/dev/vda / ext4 ro 0 0\n")
    assert abort.recover(killed.live) == "aborted"


@pytest.mark.parametrize("text", ["", "{}", '{"folders": 5}', "[]"])
def test_a_damaged_note_is_named_with_what_to_type(killed: FakeNode, text: str) -> None:
    killed.put(READ_ONLY, text)
    with pytest.raises(SriovError, match=r"Read-only are now: /, /srv/a disk, /media.*`rm /run/kvmfleet-sriov/made"):
        abort.recover(killed.live)
    assert killed.live_vm("web1") is None


def test_sysrq_that_comes_late_is_awaited(killed: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel remounts in a work queue."""
    monkeypatch.setattr(abort, "REMOUNT_S", 5.0)
    killed.put("/proc/mounts", BEFORE)
    pauses = iter([None, None])
    late: list[bool] = []

    def sleep(_seconds: float) -> None:
        if next(pauses, "over") == "over":
            late.append(True)
            killed.put("/proc/mounts", BEFORE.replace(" rw", " ro").replace("tmpfs ro", "tmpfs rw"))

    object.__setattr__(killed.live, "sleep", sleep)
    assert abort.recover(killed.live) == "aborted"
    assert late
    assert mounts(killed) == BEFORE
