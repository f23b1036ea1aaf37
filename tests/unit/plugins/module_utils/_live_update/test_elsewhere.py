# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saved memory never meets other disks, nor a VM that runs elsewhere."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import elsewhere, resume, save, vm_choices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.claim import Claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.images import Image
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.state_file import NO_FILE
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.vm_facts import VmFacts
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import OPTIONS, arm, claim, jump, live, phase, request, result

DISK, BASE = "/vm/web1.img", "/vm/base.img"
HOOK = ("/usr/bin/ha-check",)


@pytest.fixture
def disked(node: FakeNode) -> FakeNode:
    """A node with VM web1 of two disks, and web2 of one."""
    pf = node.igb()
    node.images = {"web1": (DISK, BASE), "web2": ("/vm/web2.img",)}
    node.vm("web1", pf, 6)
    node.vm("web2", pf, 2)
    return node


def path(node: FakeNode, name: str = DISK) -> Path:
    return Path(node.host.sysfs.real(name))


def written(node: FakeNode) -> None:
    with path(node).open("a") as file:
        file.write("more")


def touched(node: FakeNode) -> None:
    path(node, BASE).touch()


def rolled_back(node: FakeNode) -> None:
    shutil.copy2(path(node, "/vm/kept"), path(node))


def put_in_place(node: FakeNode) -> None:
    shutil.copy2(path(node, "/vm/kept"), path(node, "/vm/copy"))
    path(node, "/vm/copy").replace(path(node))


def removed(node: FakeNode) -> None:
    path(node).unlink()


@pytest.mark.parametrize("change", [written, touched, rolled_back, put_in_place, removed])
@pytest.mark.parametrize("options", [OPTIONS, replace(OPTIONS, confirm_not_elsewhere=HOOK)])
def test_memory_is_not_loaded_over_other_disks(
    disked: FakeNode, change: Callable[[FakeNode], None], options: Options
) -> None:
    """Whatever the hook says; the other VM comes back."""
    shutil.copy2(path(disked), path(disked, "/vm/kept"))
    run = disked.live.run
    object.__setattr__(disked.live, "run", lambda argv: "" if argv[0] == HOOK[0] else run(argv))
    arm(disked, options=options, vms=vm_choices.by_name([{"name": "web1", "cold_start": True}]))
    with pytest.raises(Rebooted):
        save.run(disked.live)
    before = claim(disked)
    time.sleep(0.02)
    change(disked)
    for _attempt in range(2):
        assert resume.resume(disked.live) in ("failed", None)
        assert claim(disked) == before
        assert disked.live_vm("web1") is None
    assert not any("--unit=kvmfleet-vm-web1.service" in call for call in disked.calls)
    assert live(disked, "web2").status == "running"
    error = str(result(disked)["vms"][0]["error"])
    assert (change is removed and DISK in error) or f"image {BASE if change is touched else DISK}: it " in error
    assert Path(disked.live.folder.state("web1")).exists()


def test_disks_as_they_were(disked: FakeNode) -> None:
    jump(disked)
    assert [image.name for image in claim(disked).images] == [BASE, DISK]
    assert resume.resume(disked.live) == "done"
    assert live(disked).status == "running"


def test_a_snapshot_taken_after_arming_ends_the_update(disked: FakeNode) -> None:
    """Before anything of that VM is paused."""
    arm(disked)
    qemu = live(disked)
    disked.put("/vm/snap", "x")
    qemu.moved["d0"] = "/vm/snap"
    assert save.run(disked.live) == "aborted"
    assert f"its disk d0 has /vm/snap open, its restore would open {DISK}" in str(result(disked)["error"])
    assert [live(disked, name).status for name in ("web1", "web2")] == ["running", "running"]
    assert not {"device_del", "stop", "migrate"} & set(qemu.commands)


def test_a_snapshot_taken_while_the_guest_unplugs(disked: FakeNode) -> None:
    arm(disked)
    qemu = live(disked)
    disked.put("/vm/snap", "x")
    stop = qemu.do_stop

    def late() -> None:
        qemu.moved["d0"] = "/vm/snap"
        stop()

    qemu.do_stop = late  # type: ignore[method-assign]  # one QEMU alone is late
    assert save.run(disked.live) == "aborted"
    assert live(disked) is qemu
    assert qemu.status == "running"
    assert "its disk d0 has /vm/snap open" in str(result(disked)["error"])


def refusals(node: FakeNode, **changes: object) -> list[tuple[str, str, str]]:
    _facts, verdict = _live_arm.examine(node.live, request(**changes))
    return [(item.code, item.problem, item.fix) for item in verdict.refusals]


def test_a_snapshot_is_refused_by_the_preflight(disked: FakeNode) -> None:
    live(disked).moved["d0"] = BASE
    ((code, problem, fix),) = refusals(disked)
    assert (code, "its disk d0 has" in problem, "start the VM again" in fix) == ("vm", True, True)


def test_a_block_job_is_refused_by_the_preflight(disked: FakeNode) -> None:
    live(disked).jobs.append({"device": "d0", "type": "mirror"})
    ((_code, problem, fix),) = refusals(disked)
    assert ("a block job is at work" in problem, fix) == (True, "wait for its end, or cancel it")


def test_a_replaced_file_is_refused_by_the_preflight(disked: FakeNode) -> None:
    fd = disked.host.root / f"proc/{live(disked).pid}/fd/0"
    fd.unlink()
    disked.put("/vm/old", "the one that it has open")
    os.symlink(path(disked, "/vm/old"), fd)
    ((_code, problem, _fix),) = refusals(disked)
    assert f"the file at {DISK} is not the one that it has open" in problem


def test_an_image_that_is_gone_is_refused_by_the_preflight(disked: FakeNode) -> None:
    removed(disked)
    ((_code, problem, _fix),) = refusals(disked)
    assert "an image that it has open is not there" in problem


@pytest.mark.parametrize("command", ["query-block", "query-named-block-nodes", "query-block-jobs"])
@pytest.mark.parametrize("answer", [5, [5], [{"device": 3, "file": 3, "type": [3]}]])
def test_answers_of_wrong_types_concern_that_vm(disked: FakeNode, command: str, answer: object) -> None:
    disked.scripts["web1"].answers[command] = answer
    found = refusals(disked)
    assert found
    assert all(problem.startswith("VM web1 ") for _code, problem, _fix in found)


def mounted(node: FakeNode, kind: str) -> None:
    node.put("/proc/self/mountinfo", f"1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:9 / /vm rw - {kind} h:/e rw\n")


@pytest.mark.parametrize("kind", ["nfs4", "ceph", "fuse.glusterfs", "gfs2"])
def test_shared_storage_needs_the_hook(disked: FakeNode, kind: str) -> None:
    mounted(disked, kind)
    found = refusals(disked)
    assert {code for code, _problem, _fix in found} == {"elsewhere"}
    assert len(found) == 3
    assert all("shared storage" in problem and fix == "set confirm_not_elsewhere" for _code, problem, fix in found)
    assert refusals(disked, options=replace(OPTIONS, confirm_not_elsewhere=HOOK)) == []


@pytest.mark.parametrize(("name", "kind"), [("/dev/zram0", "block"), ("/on/zram/a.img", "file")])
def test_a_disk_in_memory_is_refused(name: str, kind: str) -> None:
    vms = [VmFacts("web1", "qemu", 9, 90, "u", None, images=(Image(name, kind, "memory"),))]
    assert [item.code for item in elsewhere.check(vms, Options(), 1.0)] == ["image-volatile"]


def test_an_image_that_comes_late_is_awaited(disked: FakeNode) -> None:
    """It is compared when it is there, not before."""
    jump(disked)
    before = claim(disked)
    path(disked).rename(path(disked, "/vm/late"))
    states: list[str] = []

    def mount(_seconds: float) -> None:
        states.append(claim(disked).state)
        os.link(path(disked, "/vm/late"), path(disked))

    object.__setattr__(disked.qemu, "sleep", mount)
    assert resume.resume(disked.live) == "failed"
    assert states == [before.state]
    assert "it was changed" in str(result(disked)["vms"][0]["error"])


def test_an_outage_beyond_restore_within(disked: FakeNode) -> None:
    options = replace(OPTIONS, boot_s=1000.0)
    ((code, problem, fix),) = refusals(disked, options=options, budget_s=5000.0)
    assert (code, "states are loaded within 900 s only" in problem) == ("restore-within", True)
    assert "confirm_not_elsewhere" in fix
    assert refusals(disked, options=replace(options, restore_within=2000.0), budget_s=5000.0) == []
    assert refusals(disked, options=replace(options, confirm_not_elsewhere=HOOK), budget_s=5000.0) == []


def later(node: FakeNode, seconds: float) -> None:
    object.__setattr__(node.live, "now", lambda: time.time() + seconds)


@pytest.mark.parametrize(("seconds", "comes_back"), [(0.0, True), (800.0, True), (1000.0, False), (-5000.0, False)])
def test_an_old_state_is_not_loaded_by_itself(disked: FakeNode, seconds: float, comes_back: bool) -> None:
    """A clock that was set back makes the age unknown."""
    jump(disked)
    later(disked, seconds)
    assert resume.resume(disked.live) == ("done" if comes_back else "failed")
    assert claim(disked).state == ("acknowledged" if comes_back else "saved")
    assert (disked.live_vm("web1") is not None) == comes_back
    if not comes_back:
        assert "restore_within is 900 s" in str(result(disked)["vms"][0]["error"])


@pytest.mark.parametrize("agrees", [True, False])
def test_the_hook_decides_about_an_old_state(disked: FakeNode, agrees: bool) -> None:
    arm(disked, options=replace(OPTIONS, confirm_not_elsewhere=HOOK))
    with pytest.raises(Rebooted):
        save.run(disked.live)
    later(disked, 5000.0)
    run = disked.live.run

    def asked(argv: list[str]) -> str:
        if argv[0] != HOOK[0]:
            return run(argv)
        if not agrees:
            raise ToolError(argv, 1, "it runs on h2")
        return ""

    object.__setattr__(disked.live, "run", asked)
    assert resume.resume(disked.live) == ("done" if agrees else "failed")
    assert claim(disked).state == ("acknowledged" if agrees else "saved")
    assert phase(disked) == ("done" if agrees else "failed")


def test_a_file_system_that_became_shared_since(disked: FakeNode) -> None:
    """The claim has what it was when the VM was saved."""
    arm(disked)
    mounted(disked, "nfs4")
    with pytest.raises(Rebooted):
        save.run(disked.live)
    assert resume.resume(disked.live) == "failed"
    assert claim(disked).state == "saved"
    assert "shared storage" in str(result(disked)["vms"][0]["error"])


def test_an_aborted_save_compares_nothing(disked: FakeNode) -> None:
    """Its memory is still in the QEMU that has the disks open."""
    arm(disked)
    disked.reboot_errno = 1
    disked.scripts["web2"].migrate = "fails"
    assert save.run(disked.live) == "aborted"
    assert [live(disked, name).status for name in ("web1", "web2")] == ["running", "running"]


def test_doubts_about_each_kind_of_image() -> None:
    base = Claim("m", "v", _claim.SAVED, "b", "u", 1.0, NO_FILE, 100.0, 100.0)
    images = {
        Image("/a", "file", "local"): 0, Image("/a", "file", "shared"): 1, Image("/dev/a", "block", "unknown"): 0,
        Image("/dev/a", "block", "shared"): 1, Image("rbd:p/i", "unchecked", "shared"): 1,
        Image("/dev/sg0", "unchecked", "unknown"): 1,
    }  # fmt: skip
    for image, count in images.items():
        assert len(elsewhere.doubts(replace(base, images=(image,)), Options(), 120.0)) == count, image


NETWORK = Image("rbd:pool/web1", "unchecked", "shared")


@pytest.mark.parametrize("name", ["rbd:pool/web1", "nbd://store/web1", "iscsi://store/iqn.x/0", "https://store/web1"])
def test_an_image_on_a_network_is_said_not_to_be_compared(name: str) -> None:
    """Refused without the hook, else named; nothing else is said of it."""
    vm = VmFacts("web1", "qemu", 7, 70, "u", None, images=(replace(NETWORK, name=name),))
    without, hooked = Options(), Options(confirm_not_elsewhere=HOOK)
    assert [one.code for one in elsewhere.check([vm], without, 10.0)] == ["elsewhere"]
    assert list(elsewhere.warnings([vm], without)) == []
    assert list(elsewhere.check([vm], hooked, 10.0)) == []
    (found,) = elsewhere.warnings([vm], hooked)
    assert f"VM web1 (process 7): image {name} cannot be compared" in found.problem


def test_images_that_were_not_compared_are_in_the_result(disked: FakeNode) -> None:
    run = disked.live.run
    object.__setattr__(disked.live, "run", lambda argv: "" if argv[0] == HOOK[0] else run(argv))
    arm(disked, options=replace(OPTIONS, confirm_not_elsewhere=HOOK))
    with pytest.raises(Rebooted):
        save.run(disked.live)
    folder = disked.live.folder.vm("web1")
    before = claim(disked)
    _claim.store(folder, replace(before, images=(*before.images, NETWORK)))
    assert resume.resume(disked.live) == "done"
    assert [vm["not_compared"] for vm in result(disked)["vms"]] == [[NETWORK.name], []]
    assert f"images that could not be compared: {NETWORK.name}" in " ".join(disked.log)
