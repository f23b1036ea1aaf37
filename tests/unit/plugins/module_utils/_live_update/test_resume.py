# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resume after the kexec: VMs run again, with their VFs.

VFs are as they were; nothing is lost, nothing doubled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save, vm_choices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.pfs import PfSet
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import NEW, OLD, FakeNode, Rebooted
from tests.fake.vm.update import OPTIONS, PROPERTIES, Killed, arm, claim, jump, live, phase, result, updated


def test_vm_goes_on_and_its_vf_is_as_it_was(node: FakeNode, pf: FakePf) -> None:
    before = node.live_vm("web1")
    assert before is not None
    guest = dict(before.guest or {})
    manifest = arm(node)
    assert phase(node) == "armed"
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert f"kvmfleet.update={manifest.id}" in (node.host.root / "proc/cmdline").read_text()
    assert resume.resume(node.live) == "done"
    after = node.live_vm("web1")
    assert after is not None
    assert after is not before
    assert after.status == "running"
    assert after.unit == before.unit
    assert after.guest == {"boot": guest["boot"], "n": guest["n"] + 1}
    assert {key: pf.properties[6][key] for key in PROPERTIES} == PROPERTIES
    assert [device["host"] for device in after.devices.values()] == [pf.vfs[6].address]
    assert after.argv[after.argv.index("-M") + 1] == "pc-q35-10.0"


def test_properties_are_right_before_qemu_gets_the_vf(node: FakeNode, pf: FakePf) -> None:
    updated(node)
    name, address, seen = node.plugged[-1]
    assert (name, address) == ("web1", pf.vfs[6].address)
    assert {key: seen[key] for key in PROPERTIES} == PROPERTIES


def test_result_has_what_the_report_needs(node: FakeNode, pf: FakePf) -> None:
    nvme = node.host.nvme(total=5)
    node.host.setup(nvme, 5, range(5))
    nvme.autoprobe = False
    node.host.draw()
    node.put(f"/sys/bus/pci/devices/{nvme.address}/modalias", f"pci:{nvme.address}")
    updated(node)
    found = result(node)
    assert found["result"] == "updated"
    assert (found["kernel_before"], found["kernel_after"], found["interface"]) == (OLD, NEW, "vf-id")
    assert found["vfs_enabled"] == {pf.address: 7, nvme.address: 5}
    assert found["used_ids"] == {pf.address: [6]}
    assert found["present_ids_at_first_restore"] == {pf.address: [6], nvme.address: []}
    assert found["present_ids_at_last_restore"] == {pf.address: [6], nvme.address: []}
    assert found["vfs_present_at_end"] == {pf.address: 7, nvme.address: 5}
    names = [item["name"] for item in found["phases"]]
    assert names == ["unplugging", "copying", "saving", "saved", "kexec", "resuming", "restoring", "filling"]
    times = [moment for item in found["phases"] for moment in (item["start"], item["end"])]
    assert times == sorted(times)
    vm = found["vms"][0]
    assert vm["result"] == "restored"
    assert vm["paused_at"] < vm["stopped_at"] < vm["saved_at"] < vm["resumed_at"]


def test_autoprobe_and_all_vfs_come_back(node: FakeNode, pf: FakePf) -> None:
    pf.autoprobe = True
    node.host.draw()
    updated(node)
    assert pf.autoprobe
    assert sorted(pf.vfs) == list(range(7))
    assert pf.vfs[0].driver == "igbvf"
    assert pf.vfs[6].driver == "vfio-pci"


def test_second_update_finds_the_hot_plugged_vf(node: FakeNode, pf: FakePf) -> None:
    updated(node)
    node.live.folder.forget()
    node.put(f"/sys/bus/pci/devices/{pf.address}/modalias", f"pci:{pf.address}")
    first = node.live_vm("web1")
    assert first is not None
    assert first.guest is not None
    updated(node)
    second = node.live_vm("web1")
    assert second is not None
    assert second.guest is not None
    assert second.guest["n"] == 3
    assert second.argv.count("-incoming") == 1


def test_so_many_vms_are_restored_at_once(node: FakeNode) -> None:
    """By priority: all at once would share the disk."""
    pf = node.igb()
    for number in range(5):
        node.vm(f"v{number}", pf, number)
    priorities = vm_choices.by_name([{"name": f"v{number}", "priority": number} for number in range(5)])
    arm(node, vms=priorities, options=replace(OPTIONS, restore_at_once=2))
    with pytest.raises(Rebooted):
        save.run(node.live)
    restore, lock, order, most = node.qemu.restore, threading.Lock(), list[str](), list[int]()
    running: set[str] = set()

    def watched(
        vm: ManifestVm, state: str, form: Mapping[str, Any], start: bool, before_run: Callable[[], None]
    ) -> None:
        with lock:
            order.append(vm.name)
            running.add(vm.name)
            most.append(len(running))
        time.sleep(0.1)
        restore(vm, state, form, start, before_run)
        with lock:
            running.remove(vm.name)

    object.__setattr__(node.qemu, "restore", watched)
    assert resume.resume(node.live) == "done"
    assert max(most) <= 2
    assert (set(order[:2]), len(order)) == ({"v4", "v3"}, 5)


def test_priority_decides_who_comes_first(node: FakeNode) -> None:
    pf = node.igb()
    for number, name in enumerate(("a", "b", "c")):
        node.vm(name, pf, number)
    node.plugged.clear()
    arm(node, vms=vm_choices.by_name([{"name": "b", "priority": 5}]))
    with pytest.raises(Rebooted):
        save.run(node.live)
    resume.resume(node.live)
    found = result(node)
    assert found["present_ids_at_first_restore"] == {pf.address: [1]}
    assert found["present_ids_at_last_restore"] == {pf.address: [0, 1, 2]}


def test_node_without_vms_is_updated(node: FakeNode) -> None:
    pf = node.igb()
    updated(node)
    assert result(node)["vms"] == []
    assert sorted(pf.vfs) == list(range(7))


def test_stock_kernel_is_updated_too(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    node.host.kernel.interface = "stock"
    with pytest.raises(Rebooted):
        save.run(node.live)
    node.host.sysfs.within.clear()
    assert resume.resume(node.live) == "done"
    assert node.host.sysfs.within == []
    assert result(node)["interface"] == "stock"
    assert result(node)["present_ids_at_first_restore"] == {pf.address: list(range(7))}
    assert {key: pf.properties[6][key] for key in PROPERTIES} == PROPERTIES


def test_vm_whose_properties_cannot_be_restored_stays_stopped(node: FakeNode, pf: FakePf) -> None:
    other = node.igb("0000:05:00.0", "eth1")
    node.vm("other", other, 3)
    jump(node)
    pf.ignores = frozenset({"vlan"})
    assert resume.resume(node.live) == "failed"
    assert node.live_vm("web1") is None
    assert node.live_vm("other") is not None
    assert claim(node).state == "saved"
    assert Path(node.live.folder.state("web1")).exists()
    assert "stays stopped" in result(node)["vms"][0]["error"]
    assert 6 not in pf.vfs


def test_pf_without_driver_fails_its_vms_alone(node: FakeNode, pf: FakePf) -> None:
    other = node.igb("0000:05:00.0", "eth1")
    node.vm("other", other, 3)
    jump(node)
    node._drivers[pf.address] = None
    assert resume.resume(node.live) == "failed"
    assert node.live_vm("other") is not None
    assert node.live_vm("web1") is None
    assert "did not appear within 0.5 s" in result(node)["error"]


@pytest.mark.parametrize("failure", ["fails", "exits"])
def test_restore_that_fails_keeps_the_state(node: FakeNode, pf: FakePf, failure: str) -> None:
    jump(node)
    node.scripts["web1"].incoming = failure
    assert resume.resume(node.live) == "failed"
    assert node.live_vm("web1") is None
    assert claim(node).state == "failed"
    assert Path(node.live.folder.state("web1")).exists()


def test_group_that_is_open_for_a_moment_is_waited_for(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    node.scripts["web1"].busy = 3
    assert resume.resume(node.live) == "done"
    assert node.scripts["web1"].busy == 0
    assert len(live(node).devices) == 1


def test_damaged_state_is_never_loaded(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    state = Path(node.live.folder.state("web1"))
    data = bytearray(state.read_bytes())
    data[-3] ^= 1
    state.write_bytes(data)
    assert resume.resume(node.live) == "failed"
    assert node.live_vm("web1") is None
    assert "it was written to, or put there" in result(node)["vms"][0]["error"]
    assert claim(node).state == "saved"


START = "start"
"""How the backend starts a QEMU, before that loads its state."""


def test_resume_killed_while_starting_never_starts_a_second(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    started = getattr(node.qemu, START)

    def start_and_die(vm: ManifestVm, argv: Sequence[str]) -> None:
        started(vm, argv)
        raise Killed

    object.__setattr__(node.qemu, START, start_and_die)
    with pytest.raises(Killed):
        resume.resume(node.live)
    object.__setattr__(node.qemu, START, started)
    assert live(node).status == "inmigrate"
    assert resume.resume(node.live) == "done"
    assert live(node).status == "running"
    assert resume.resume(node.live) is None


def test_resume_killed_when_the_guest_goes_on_never_restores_it_again(node: FakeNode, pf: FakePf) -> None:
    """A state file that is out of date once the guest runs.

    The guest has written to its disk since.
    """
    jump(node)
    restore = node.qemu.restore

    def restore_and_die(
        vm: ManifestVm, state: str, form: Mapping[str, Any], start: bool, before_run: Callable[[], None]
    ) -> None:
        restore(vm, state, form, start, before_run)
        raise Killed

    object.__setattr__(node.qemu, "restore", restore_and_die)
    with pytest.raises(Killed):
        resume.resume(node.live)
    object.__setattr__(node.qemu, "restore", restore)
    assert claim(node).state == "running"
    live(node).end()
    resume.resume(node.live)
    assert node.live_vm("web1") is None


@pytest.mark.parametrize(("cold_start", "state"), [(True, "acknowledged"), (False, "running")])
def test_second_kexec_amid_resume_means_the_memory_is_gone(
    node: FakeNode, pf: FakePf, cold_start: bool, state: str
) -> None:
    boot = (live(node).guest or {})["boot"]
    arm(node, vms=vm_choices.by_name([{"name": "web1", "cold_start": cold_start}]))
    with pytest.raises(Rebooted):
        save.run(node.live)
    cmdline = (node.host.root / "proc/cmdline").read_text()
    folder = node.live.folder.vm("web1")
    found = claim(node)
    assert found is not None
    _claim.store(
        folder, _claim.advance(_claim.advance(found, "claimed", "another-boot", 1.0), "running", "another-boot", 2.0)
    )
    node.kexec(cmdline)
    node._drivers[pf.address] = "igb"
    assert resume.resume(node.live) == ("done" if cold_start else "failed")
    assert claim(node).state == state
    qemu = node.live_vm("web1")
    assert (qemu is not None) == cold_start
    if qemu is not None:
        assert (qemu.guest or {})["boot"] != boot


def test_what_nobody_expected_still_brings_the_others_back(node: FakeNode, pf: FakePf) -> None:
    node.vm("other", pf, 2)
    jump(node)
    started = getattr(node.qemu, START)

    def start_badly(vm: ManifestVm, argv: Sequence[str]) -> None:
        if vm.name == "web1":
            raise PermissionError(13, "no entry", "/run/kvmfleet-vm")
        started(vm, argv)

    object.__setattr__(node.qemu, START, start_badly)
    assert resume.resume(node.live) == "failed"
    assert node.live_vm("other") is not None
    assert claim(node).state == "failed"
    assert "no entry" in result(node)["vms"][0]["error"]


def test_an_odd_answer_about_vfs_concerns_their_vm_alone(
    node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another type than anybody expected, in a group of VMs."""
    node.vm("other", pf, 2)
    jump(node)
    give = PfSet.give

    def odd(pfs: PfSet, vms: Sequence[ManifestVm]) -> None:
        if any(vm.name == "web1" for vm in vms):
            raise KeyError("vfinfo_list")
        give(pfs, vms)

    monkeypatch.setattr(PfSet, "give", odd)
    assert resume.resume(node.live) == "failed"
    assert live(node, "other").status == "running"
    assert (node.live_vm("web1"), claim(node).state) == (None, "saved")
    assert "its VFs are not as they were: 'vfinfo_list'" in str(result(node)["vms"][0]["error"])


def test_no_vm_waits_for_the_evidence(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    jump(node)

    def odd(_pfs: PfSet) -> dict[str, list[int]]:
        raise ValueError("sriov_totalvfs")

    monkeypatch.setattr(PfSet, "present", odd)
    assert resume.resume(node.live) == "done"
    assert live(node).status == "running"
    assert result(node)["present_ids_at_first_restore"] == {}


def test_somebody_elses_start_is_left_alone(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    node.host.root.joinpath("run/kvmfleet-vm").mkdir(parents=True)
    stranger = node.start(
        ["qemu-system-x86_64", "-name", "web1", "-qmp", "unix:/run/kvmfleet-vm/x.qmp"], "other.service"
    )
    assert resume.resume(node.live) == "failed"
    assert node.live_vm("web1") is stranger
    assert claim(node).state == "saved"


def test_hook_can_keep_a_vm_stopped(node: FakeNode, pf: FakePf) -> None:
    options = Options(**{**vars(OPTIONS), "confirm_not_elsewhere": ("/usr/bin/ha-check",)})
    arm(node, options=options)
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert resume.resume(node.live) == "failed"
    assert ["/usr/bin/ha-check", "web1"] in node.calls
    assert node.live_vm("web1") is None


@pytest.mark.parametrize(
    ("cmdline", "message"),
    [
        ("root=/dev/vda", "an ordinary boot"),
        ("root=/dev/vda kvmfleet.update=" + "0" * 32, "the command line says 0000"),
    ],
)
def test_stale_or_foreign_boots_restore_nothing(node: FakeNode, pf: FakePf, cmdline: str, message: str) -> None:
    jump(node)
    node.put("/proc/cmdline", cmdline)
    with pytest.raises(BadInputError, match=message):
        resume.resume(node.live)
    assert node.live_vm("web1") is None
    assert pf.enabled == 0
    assert claim(node).state == "saved"


def test_module_that_the_new_kernel_lacks_is_named_and_the_others_are_loaded(node: FakeNode, pf: FakePf) -> None:
    node.put("/proc/modules", "kvm_amd 1 0 - Live 0x0\nvfio_pci 1 0 - Live 0x0\n")
    node.put(f"/lib/modules/{NEW}/modules.dep", "kernel/kvm-amd.ko:\nkernel/vfio-pci.ko:\n")
    jump(node)
    node.modules = {"vfio_pci"}
    assert resume.resume(node.live) == "done"
    assert ["modprobe", "--quiet", "--all", "kvm_amd", "vfio_pci"] in node.calls
    assert [line for line in node.log if "modules" in line] == [
        "modules that the kernel before had, and that are not loaded now: kvm_amd "
        "('modprobe --quiet --all kvm_amd vfio_pci' ended with status 1: it said nothing)"
    ]
