# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A live update from arming to the filled host, on a fake node that speaks QMP: nothing lost, nothing doubled."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils import (
    _claim,
    _live_arm,
    _live_gather,
    _live_node,
    _live_resume,
    _manifest,
    _qmp,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._errors import BadInputError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._manifest import Manifest, ManifestVm
from tests.fake.node import NEW, OLD, FakeNode, Rebooted
from tests.fake.pf import FakePf
from tests.fake.qemu import FakeQemu

PROPERTIES = {"mac": "02:00:00:00:00:06", "vlan": 100, "spoofchk": False}
OPTIONS = Options(boot_s=1.0, fill_chunk=2, fill_pause_s=0.001, drivers_s=0.5)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNode]:
    """Short paths: a unix socket's has at most 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="kf"))
    found = FakeNode(folder)
    monkeypatch.setattr(_qmp, "_peer_pid", found.pid_of)
    yield found
    for qemu in found.qemus:
        qemu.end()
    shutil.rmtree(folder)


@pytest.fixture
def pf(node: FakeNode) -> FakePf:
    """Seven VFs; VM web1 owns VF 6, the highest one."""
    pf = node.igb()
    node.vm("web1", pf, 6, **PROPERTIES)
    return pf


def request(**changes: object) -> _live_arm.Request:
    return replace(_live_arm.Request(host="h1", release=NEW, options=OPTIONS), **changes)  # type: ignore[arg-type]  # fields of several types


def arm(node: FakeNode, **changes: object) -> Manifest:
    facts, verdict = _live_arm.examine(node.live, request(**changes))
    assert [str(item) for item in verdict.refusals] == []
    manifest = _live_arm.plan(node.live, request(**changes), facts)
    _live_arm.arm(node.live, manifest)
    return manifest


def result(node: FakeNode) -> dict[str, Any]:
    found = node.live.folder.read_result()
    assert found is not None
    return found


def phase(node: FakeNode) -> str:
    return str((node.live.folder.read_status() or {}).get("phase"))


def claim(node: FakeNode, name: str = "web1") -> _claim.Claim:
    found = _claim.load(node.live.folder.vm(name))
    assert found is not None
    return found


def live(node: FakeNode, name: str = "web1") -> FakeQemu:
    found = node.live_vm(name)
    assert found is not None
    return found


def test_vm_goes_on_and_its_vf_is_as_it_was(node: FakeNode, pf: FakePf) -> None:
    before = node.live_vm("web1")
    assert before is not None
    guest = dict(before.guest or {})
    manifest = arm(node)
    assert phase(node) == "armed"
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    assert f"kvmfleet.update={manifest.id}" in (node.host.root / "proc/cmdline").read_text()
    assert _live_resume.resume(node.live) == "done"
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


def updated(node: FakeNode) -> None:
    arm(node)
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    assert _live_resume.resume(node.live) == "done"


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
    assert names == ["saving", "saved", "kexec", "resuming", "restoring", "filling"]
    times = [moment for item in found["phases"] for moment in (item["start"], item["end"])]
    assert times == sorted(times)
    vm = found["vms"][0]
    assert vm["result"] == "restored"
    assert vm["paused_at"] < vm["saved_at"] < vm["resumed_at"]


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


def test_priority_decides_who_comes_first(node: FakeNode) -> None:
    pf = node.igb()
    for number, name in enumerate(("a", "b", "c")):
        node.vm(name, pf, number)
    node.plugged.clear()
    arm(node, vms=_live_arm.by_name([{"name": "b", "priority": 5}]))
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    _live_resume.resume(node.live)
    found = result(node)
    assert found["present_ids_at_first_restore"] == {pf.address: [1]}
    assert found["present_ids_at_last_restore"] == {pf.address: [0, 1, 2]}


@pytest.mark.parametrize(
    ("script", "part"),
    [
        ({"unplug": "never"}, "gave up waiting for VM web1 to let go of VF"),
        ({"unplug": "refused"}, "the guest refused to unplug VF"),
        ({"migrate": "refused"}, "Could not create"),
        ({"migrate": "fails"}, "migration failed: No space left on device"),
        ({"migrate": "stays"}, "expected postmigrate"),
        ({"quit": "ignored"}, "gave up waiting for QEMU to close its monitor"),
    ],
)
def test_failed_save_leaves_every_vm_running_here(
    node: FakeNode, pf: FakePf, script: dict[str, str], part: str
) -> None:
    node.vm("other", pf, 2)
    before = {name: node.live_vm(name) for name in ("web1", "other")}
    boots = {name: (qemu.guest or {})["boot"] for name, qemu in before.items() if qemu}
    arm(node)
    for key, value in script.items():
        setattr(node.scripts["web1"], key, value)
    assert _live_node.run(node.live) == "aborted"
    for name in ("web1", "other"):
        qemu = node.live_vm(name)
        assert qemu is not None
        assert qemu.status == "running"
        assert len(qemu.devices) == 1
        assert (qemu.guest or {})["boot"] == boots[name]
        left = _claim.load(node.live.folder.vm(name))
        assert left is None or left.state == "running"
    assert part in result(node)["error"]
    assert result(node)["result"] == "aborted"
    assert not node.live.kexec.loaded()


def test_refused_kexec_brings_vms_back_from_their_states(node: FakeNode, pf: FakePf) -> None:
    before = node.live_vm("web1")
    assert before is not None
    guest = dict(before.guest or {})
    arm(node)
    node.reboot_errno = 16
    assert _live_node.run(node.live) == "aborted"
    after = node.live_vm("web1")
    assert after is not None
    assert after is not before
    assert after.guest == {"boot": guest["boot"], "n": guest["n"] + 1}
    assert " rw" in (node.host.root / "proc/mounts").read_text()
    assert "EBUSY" in result(node)["error"]


def test_node_without_vms_is_updated(node: FakeNode) -> None:
    pf = node.igb()
    updated(node)
    assert result(node)["vms"] == []
    assert sorted(pf.vfs) == list(range(7))


def test_stock_kernel_is_updated_too(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    node.host.kernel.interface = "stock"
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    assert _live_resume.resume(node.live) == "done"
    assert result(node)["interface"] == "stock"
    assert result(node)["present_ids_at_first_restore"] == {pf.address: list(range(7))}
    assert {key: pf.properties[6][key] for key in PROPERTIES} == PROPERTIES


def test_vm_whose_properties_cannot_be_restored_stays_stopped(node: FakeNode, pf: FakePf) -> None:
    other = node.igb("0000:05:00.0", "eth1")
    node.vm("other", other, 3)
    arm(node)
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    pf.ignores = frozenset({"vlan"})
    assert _live_resume.resume(node.live) == "failed"
    assert node.live_vm("web1") is None
    assert node.live_vm("other") is not None
    assert claim(node).state == "saved"
    assert Path(node.live.folder.state("web1")).exists()
    assert "stays stopped" in result(node)["vms"][0]["error"]
    assert 6 not in pf.vfs


def test_pf_without_driver_fails_its_vms_alone(node: FakeNode, pf: FakePf) -> None:
    other = node.igb("0000:05:00.0", "eth1")
    node.vm("other", other, 3)
    arm(node)
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    node._drivers[pf.address] = None
    assert _live_resume.resume(node.live) == "failed"
    assert node.live_vm("other") is not None
    assert node.live_vm("web1") is None
    assert "did not appear within 0.5 s" in result(node)["error"]


@pytest.mark.parametrize("way", ["fails", "exits"])
def test_restore_that_fails_keeps_the_state(node: FakeNode, pf: FakePf, way: str) -> None:
    arm(node)
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    node.scripts["web1"].incoming = way
    assert _live_resume.resume(node.live) == "failed"
    assert node.live_vm("web1") is None
    assert claim(node).state == "failed"
    assert Path(node.live.folder.state("web1")).exists()


def test_group_that_is_open_for_a_moment_is_waited_for(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    node.scripts["web1"].busy = 3
    assert _live_resume.resume(node.live) == "done"
    assert node.scripts["web1"].busy == 0
    assert len(live(node).devices) == 1


def test_damaged_state_is_never_loaded(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    state = Path(node.live.folder.state("web1"))
    data = bytearray(state.read_bytes())
    data[3] ^= 1
    state.write_bytes(data)
    assert _live_resume.resume(node.live) == "failed"
    assert node.live_vm("web1") is None
    assert "sha256" in result(node)["vms"][0]["error"]
    assert claim(node).state == "saved"


class Killed(BaseException):
    """The process ends between two system calls."""


def kill_at(node: FakeNode, program: str) -> None:
    def check(argv: list[str]) -> None:
        if argv[0] == program:
            node.on_run = lambda _argv: None
            raise Killed

    node.on_run = check


def test_run_killed_before_the_jump_is_recovered(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    kill_at(node, "journalctl")
    with pytest.raises(Killed):
        _live_node.run(node.live)
    assert node.live_vm("web1") is None
    assert _live_node.recover(node.live) == "aborted"
    assert node.live_vm("web1") is not None
    assert _live_node.recover(node.live) is None


def test_recover_keeps_still_while_the_host_goes_down(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    kill_at(node, "journalctl")
    with pytest.raises(Killed):
        _live_node.run(node.live)
    node.going_down = True
    assert _live_node.recover(node.live) is None
    assert node.live_vm("web1") is None


def test_resume_killed_while_starting_never_starts_a_second(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    started = node.live.backend.start

    def start_and_die(vm: ManifestVm, argv: Sequence[str]) -> None:
        started(vm, argv)
        raise Killed

    object.__setattr__(node.live.backend, "start", start_and_die)
    with pytest.raises(Killed):
        _live_resume.resume(node.live)
    object.__setattr__(node.live.backend, "start", started)
    assert live(node).status == "inmigrate"
    assert _live_resume.resume(node.live) == "done"
    assert live(node).status == "running"
    assert _live_resume.resume(node.live) is None


@pytest.mark.parametrize(("cold_start", "state"), [(True, "running"), (False, "needs-cold-start")])
def test_second_kexec_amid_resume_means_the_memory_is_gone(
    node: FakeNode, pf: FakePf, cold_start: bool, state: str
) -> None:
    boot = (live(node).guest or {})["boot"]
    arm(node, vms=_live_arm.by_name([{"name": "web1", "cold_start": cold_start}]))
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    cmdline = (node.host.root / "proc/cmdline").read_text()
    folder = node.live.folder.vm("web1")
    found = claim(node)
    assert found is not None
    _claim.store(folder, _claim.advance(found, "claimed", "another-boot", 1.0))
    node.kexec(cmdline)
    node._drivers[pf.address] = "igb"
    assert _live_resume.resume(node.live) == ("done" if cold_start else "failed")
    assert claim(node).state == state
    qemu = node.live_vm("web1")
    assert (qemu is not None) == cold_start
    if qemu is not None:
        assert (qemu.guest or {})["boot"] != boot


def test_what_nobody_expected_still_brings_the_others_back(node: FakeNode, pf: FakePf) -> None:
    node.vm("other", pf, 2)
    arm(node)
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    started = node.live.backend.start

    def start_badly(vm: ManifestVm, argv: Sequence[str]) -> None:
        if vm.name == "web1":
            raise PermissionError(13, "no entry", "/run/kvmfleet-vm")
        started(vm, argv)

    object.__setattr__(node.live.backend, "start", start_badly)
    assert _live_resume.resume(node.live) == "failed"
    assert node.live_vm("other") is not None
    assert claim(node).state == "failed"
    assert "no entry" in result(node)["vms"][0]["error"]


def test_somebody_elses_start_is_left_alone(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    node.host.root.joinpath("run/kvmfleet-vm").mkdir(parents=True)
    stranger = node._start(
        ["qemu-system-x86_64", "-name", "web1", "-qmp", "unix:/run/kvmfleet-vm/x.qmp"], "other.service"
    )
    assert _live_resume.resume(node.live) == "failed"
    assert node.live_vm("web1") is stranger
    assert claim(node).state == "saved"


def test_hook_can_keep_a_vm_stopped(node: FakeNode, pf: FakePf) -> None:
    options = Options(**{**vars(OPTIONS), "confirm_not_elsewhere": ("/usr/bin/ha-check",)})
    facts, _verdict = _live_arm.examine(node.live, request())
    _live_arm.arm(
        node.live, _live_arm.plan(node.live, _live_arm.Request(host="h1", release=NEW, options=options), facts)
    )
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    assert _live_resume.resume(node.live) == "failed"
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
    arm(node)
    with pytest.raises(Rebooted):
        _live_node.run(node.live)
    node.put("/proc/cmdline", cmdline)
    with pytest.raises(BadInputError, match=message):
        _live_resume.resume(node.live)
    assert node.live_vm("web1") is None
    assert pf.enabled == 0
    assert claim(node).state == "saved"


def test_vm_that_changed_since_arming_is_not_touched(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    qemu = node.live_vm("web1")
    assert qemu is not None
    qemu.do_device_del("vf0")
    assert _live_node.run(node.live) == "aborted"
    assert "armed were" in result(node)["error"]


def test_run_twice_is_refused(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    node.scripts["web1"].unplug = "refused"
    _live_node.run(node.live)
    with pytest.raises(RefusedError, match="in phase aborted, not armed"):
        _live_node.run(node.live)


def test_arming_again_changes_nothing(node: FakeNode, pf: FakePf) -> None:
    manifest = arm(node)
    facts, _verdict = _live_arm.examine(node.live, request())
    again = _live_arm.plan(node.live, request(), facts)
    assert again.id != manifest.id
    assert _live_arm.armed(node.live, again) == manifest
    other = _live_arm.plan(node.live, request(budget_s=7.0), facts)
    assert _live_arm.armed(node.live, other) is None


def test_cancel_unloads_and_forgets(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    assert _live_arm.cancel(node.live)
    assert not node.live.kexec.loaded()
    assert _manifest.load(node.live.folder.path) is None
    assert not _live_arm.cancel(node.live)


def test_nothing_is_armed_without_a_unit_that_resumes(node: FakeNode, pf: FakePf) -> None:
    (node.host.root / _live_gather.WANTS.lstrip("/")).unlink()
    _facts, verdict = _live_arm.examine(node.live, request())
    assert [item.code for item in verdict.refusals] == ["not-installed"]


def test_annotation_of_an_unknown_vm_is_an_error(node: FakeNode, pf: FakePf) -> None:
    with pytest.raises(BadInputError, match="no VM named 'wbe1' runs here; running: web1"):
        _live_arm.examine(node.live, request(vms=_live_arm.by_name([{"name": "wbe1"}])))


def test_manifest_on_disk_is_private_and_round_trips(node: FakeNode, pf: FakePf) -> None:
    manifest = arm(node)
    file = Path(_manifest.path(node.live.folder.path))
    assert file.stat().st_mode & 0o777 == 0o600
    assert Path(node.live.folder.path).stat().st_mode & 0o777 == 0o700
    assert _manifest.load(node.live.folder.path) == manifest
    file.chmod(0o644)
    with pytest.raises(BadInputError, match="mode 644"):
        _manifest.load(node.live.folder.path)
    assert json.loads(file.read_text())["vms"][0]["vfs"][0]["properties"]["vlan"] == 100
