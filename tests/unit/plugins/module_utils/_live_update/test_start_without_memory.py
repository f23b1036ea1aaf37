# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs whose memory is gone, and what may be started of them.

Their claims have the images that they had open, though nothing of them is saved: another guest may use those by now.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import RefusedError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import update_folder
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import OPTIONS, Killed, arm, claim, jump, killed, live, result

DISK, OTHER = "/vm/web1.img", "vm-by-hand.service"
FIRMWARE = "BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet"
NFS = "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:50 / /vm rw - nfs4 nas:/vm rw\n"


def cold(**policy: object) -> dict[str, Any]:
    return {"vms": {"web1": {"name": "web1", "cold_start": True, **policy}}}


@pytest.fixture
def disked(node: FakeNode) -> FakeNode:
    """A node with VM web1 of one disk, and web2 without."""
    pf = node.igb()
    node.images = {"web1": (DISK,)}
    node.vm("web1", pf, 6)
    node.vm("web2", pf, 2)
    return node


def opened(node: FakeNode) -> int:
    """Another process has the disk open."""
    pid = node.process("cloud-hypervisor", group=f"/system.slice/{OTHER}", holds=(node.host.sysfs.real(DISK),))
    node.put(f"/proc/{pid}/fdinfo/0", "pos:\t0\nflags:\t0100002\nmnt_id:\t30\n")
    return pid


def error(node: FakeNode, name: str = "web1") -> str:
    return str({vm["name"]: vm["error"] for vm in result(node)["vms"]}[name])


def goes_down(node: FakeNode) -> None:
    """The host loses its power while memory is copied."""
    with killed(node, "copy"), pytest.raises(Killed):
        save.run(node.live)
    assert claim(node).state == "unsaved"
    node.kexec(FIRMWARE)


def is_killed(node: FakeNode) -> None:
    """The VM is killed while memory is copied, and the host jumps."""
    node.scripts["web1"].copy = "killed"
    with pytest.raises(Rebooted):
        save.run(node.live)


def is_shut_down(node: FakeNode) -> None:
    """Its guest does not release its VF, and is shut down."""
    node.scripts["web1"].unplug, node.scripts["web1"].power = "never", "ok"
    with pytest.raises(Rebooted):
        save.run(node.live)


WAYS = {"down with its host": goes_down, "killed": is_killed, "shut down": is_shut_down}


def starts(node: FakeNode) -> str | None:
    """What a boot does with the VM."""
    if "kvmfleet_sriov" in (node.host.root / "proc/cmdline").read_text():
        return resume.resume(node.live)
    return way_out.come_back(node.live)


@pytest.mark.parametrize("way", WAYS)
def test_it_is_not_started_beside_another_guest(disked: FakeNode, way: str) -> None:
    arm(disked, **cold(straggler="shutdown"))
    WAYS[way](disked)
    assert [image.name for image in claim(disked).images] == [DISK]
    pid = opened(disked)
    assert starts(disked) == "failed"
    assert disked.live_vm("web1") is None
    assert f"process {pid} (cloud-hypervisor, {OTHER}) has its image {DISK} open for writing" in error(disked)
    assert "End that one, then `sriovctl live-update restore web1`" in error(disked)
    shutil.rmtree(disked.host.root / "proc" / str(pid))
    assert way_out.restore(disked.live, ["web1"]) in update_folder.FINAL
    assert live(disked).status == "running"


@pytest.mark.parametrize("way", WAYS)
def test_on_shared_storage_it_is_not_started_by_itself(disked: FakeNode, way: str) -> None:
    """No hook says that no other host has started it."""
    arm(disked, **cold(straggler="shutdown"))
    disked.put("/proc/self/mountinfo", NFS)
    WAYS[way](disked)
    assert starts(disked) == "failed"
    assert disked.live_vm("web1") is None
    assert f"could have been started elsewhere, as image {DISK} is on shared storage" in error(disked)
    assert way_out.restore(disked.live, ["web1"], confirmed=True) in update_folder.FINAL
    assert live(disked).status == "running"


def test_images_that_cannot_be_read_stop_nobody(disked: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read once more when the VM is saved."""

    def fails(_backend: object, _vm: ManifestVm) -> None:
        raise SriovError("its monitor is busy")

    monkeypatch.setattr(type(disked.qemu), "images", fails)
    jump(disked)
    assert [image.name for image in claim(disked).images] == [DISK]
    assert any("VM web1: which images it has open cannot be read: its monitor is busy" in line for line in disked.log)


@pytest.mark.parametrize(("within", "starts_alone"), [(1e-6, False), (900.0, True)])
def test_a_vm_without_disks_that_was_saved_long_ago(node: FakeNode, within: float, starts_alone: bool) -> None:
    """Any host could have started it meanwhile."""
    node.vm("web1", node.igb(), 6)
    policy = cold(on_other_kernel="cold-start")
    arm(node, **policy, options=replace(OPTIONS, restore_within=within, confirm_not_elsewhere=("/bin/true",)))
    hooks(node)
    with pytest.raises(Rebooted):
        save.run(node.live)
    without_hook(node)
    node.kexec(FIRMWARE)
    assert way_out.come_back(node.live) == "failed"  # it came back on another kernel
    assert (node.live_vm("web1") is not None) is starts_alone
    assert ("VM web1 could have been started elsewhere, as its state is" in error(node)) is not starts_alone
    if not starts_alone:
        way_out.restore(node.live, ["web1"], confirmed=True)
        assert live(node).status == "running"


def hooks(node: FakeNode) -> None:
    run = node.live.run
    object.__setattr__(node.live, "run", lambda argv: "" if argv[0] == "/bin/true" else run(argv))


def without_hook(node: FakeNode) -> None:
    """Take the hook out of the manifest, which the preflight would refuse."""
    for path in Path(node.live.folder.path).rglob("manifest.json"):
        path.write_text(path.read_text().replace('"/bin/true"', ""))


def gone(path: Path) -> None:
    path.unlink()


def shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [gone, shorter])
@pytest.mark.parametrize("name", ["web1", "web2"])
def test_memory_that_is_refused_has_a_way_out(disked: FakeNode, damage: Any, name: str) -> None:  # noqa: ANN401 - a function
    """Nothing is started, whatever the policy; a person gives it up."""
    arm(disked, vms={name: {"name": name, "cold_start": True}})
    with pytest.raises(Rebooted):
        save.run(disked.live)
    damage(Path(disked.live.folder.state(name)))
    assert resume.resume(disked.live) == "failed"
    assert (disked.live_vm(name), claim(disked, name).state) == (None, "saved")
    how = "from its disks" if name == "web1" else "anew, as it has no disk"
    assert "its memory is not loaded: " in error(disked, name)
    assert f"`sriovctl live-update forget --discard-memory {name}` forgets it, then start it {how}" in error(
        disked, name
    )
    with pytest.raises(RefusedError, match="forget --discard-memory NAME"):
        way_out.forget(disked.live, [])
    assert way_out.forget_vms(disked.live, [], [name]) == [name]
    assert way_out.forget(disked.live, [])


def test_a_killed_one_has_a_way_out(disked: FakeNode) -> None:
    """Where it may not be started from its disks by itself."""
    arm(disked)
    is_killed(disked)
    assert resume.resume(disked.live) == "failed"
    way = "`sriovctl live-update forget --discard-memory web1` forgets it, then start it from its disks"
    assert f"its memory is gone: it needs a cold start; {way}" in error(disked)
    with pytest.raises(RefusedError, match=r"VM web1: nothing of its memory is kept.*--discard-memory web1"):
        way_out.forget(disked.live, [])
    assert way_out.forget(disked.live, ["web1"])
