# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rehearsals with a jump on a fake node, and memory of fakes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import rehearsal_boot_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import (
    manifest_file,
    rehearsal,
    rehearse_disks,
    resume,
    run_unit,
    save,
    throwaway,
    throwaway_memory,
    throwaway_removal,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.machine import LiveHost
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.rehearsal import Disk, Rehearsal
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.throwaway import ThrowAway
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    RefusedError,
    SriovError,
)
from tests.fake.vm.node import NEW, FakeNode, Rebooted
from tests.fake.vm.update import arm, phase

DISK = Disk("/var/lib/kvmfleet-sriov", 400.0, 160.0, 64, True, 1000.0)
WORDS = {"boot_s": 1.0, "drivers_s": 0.5, "fill_pause_s": 0.001}
LEFT = ("var/lib/kvmfleet-sriov/rehearsal", "run/kvmfleet-sriov/rehearsal")


class Module:
    def __init__(self, check_mode: bool = False, **params: object) -> None:
        self.params: dict[str, Any] = {
            "state": "started", "count": 2, "vm_mib": [16, 32], "size_mib": 16, "kernel": NEW, "initrd": "auto",
            "accelerator": "auto", "command_line": "", "budget_s": 600.0, "host": "h1", "owner": "",
            "take_over": False, "options": WORDS,
            **params,
        }  # fmt: skip
        self.check_mode = check_mode


@pytest.fixture(autouse=True)
def fakes(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory as it should be, kills that end, a known disk."""

    def measured(host: LiveHost, _mib: int, check_mode: bool) -> tuple[Rehearsal, Rehearsal]:
        known = rehearse_disks.known(host)
        rehearsal.store(host.sysfs, replace(known, disks={"/dev/vda": DISK}))
        return known, known

    def kill(words: list[str]) -> None:
        for qemu in node.qemus:
            if words[:2] == ["systemctl", "kill"] and qemu.unit == words[-1]:
                qemu.end()

    node.put("/usr/bin/qemu-system-x86_64", "")
    node.put("/var/lib/kvmfleet-sriov/x", "")
    node.on_run = kill
    monkeypatch.setattr(rehearse_disks, "run", measured)
    monkeypatch.setattr(throwaway_memory, "filled", lambda _host, vm: replace(vm, sha256="a" * 64))
    monkeypatch.setattr(throwaway_memory, "difference", lambda _host, _vm: None)


def declare(node: FakeNode, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    return rehearsal_boot_module.declare(Module(**params), node.live)  # type: ignore[arg-type]  # a part of a module


def names(node: FakeNode) -> list[str]:
    return sorted(qemu.name for qemu in node.qemus if qemu.alive)


def nothing_is_left(node: FakeNode, phases: Sequence[str] = ("None",)) -> None:
    assert not throwaway.is_left(node.live.sysfs)
    assert [path for path in LEFT if (node.host.root / path).exists()] == []
    assert phase(node) in phases
    assert not [path for path in (node.host.root / "var/lib/kvmfleet-sriov").rglob("*") if "rehearsal-" in path.name]
    assert not node.live.kexec.loaded()


def jumped(node: FakeNode) -> None:
    """The part between both tasks, which the host does alone."""
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert resume.resume(node.live) == "done"


def test_a_rehearsal_from_start_to_end(node: FakeNode) -> None:
    """The VMs come back, the boot is kept, nothing else stays."""
    started = declare(node)
    assert (started["changed"], started["diff"]["after"]) == (True, {"kernel": NEW, "vm_mib": [16, 32]})
    assert names(node) == ["rehearsal-1", "rehearsal-2"]
    assert any(run_unit.RUN_UNIT in " ".join(call) for call in node.calls)
    manifest = manifest_file.load(node.live.folder.path)
    assert manifest is not None
    assert (manifest.options["whole_hash"], [vm.unit for vm in manifest.vms]) == (
        True,
        ["kvmfleet-rehearsal-1.service", "kvmfleet-rehearsal-2.service"],
    )
    jumped(node)
    found = declare(node, state="finished")
    assert [(vm["name"], vm["memory_mib"]) for vm in found["vms"]] == [("rehearsal-1", 16), ("rehearsal-2", 32)]
    assert all(vm["pause_s"] > 0 for vm in found["vms"])
    known = rehearsal.load(node.host.sysfs)
    assert known.disks == {"/dev/vda": DISK}
    boot = known.boots[NEW]
    assert (boot.release_before, boot.memory_mib, boot.seconds) == ("6.12.0-old", 48, found["boot_s"])
    assert 0 < boot.seconds < 60
    assert found["rehearsal"] == found["diff"]["after"] == known.to_dict()
    nothing_is_left(node)


def test_a_host_with_a_vm_is_refused_by_its_name(node: FakeNode) -> None:
    """Before anything is measured or started, in check mode too."""
    node.vm("web1", node.igb(), 6)
    for check_mode in (True, False):
        with pytest.raises(RefusedError, match=r"VMs run here: web1 \(process \d+\)"):
            declare(node, check_mode=check_mode)
    assert names(node) == ["web1"]
    assert rehearsal.load(node.host.sysfs) == Rehearsal()
    nothing_is_left(node)


def test_a_vm_that_is_started_meanwhile_is_not_saved_as_a_throw_away_one(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(_host: LiveHost, vm: ThrowAway) -> ThrowAway:
        if vm.name == "rehearsal-2":
            node.vm("web1")
        return vm

    monkeypatch.setattr(throwaway_memory, "filled", started)
    with pytest.raises(RefusedError, match="VMs run here: web1"):
        declare(node)
    assert names(node) == ["web1"]
    nothing_is_left(node)


def test_what_a_live_update_refuses_is_refused_here(node: FakeNode) -> None:
    (node.host.root / "usr/local/sbin/sriovctl").unlink()
    for check_mode in (True, False):
        with pytest.raises(RefusedError, match="nothing would resume the VMs"):
            declare(node, check_mode=check_mode)
    nothing_is_left(node)


def test_check_mode_looks_and_changes_nothing(node: FakeNode) -> None:
    def files() -> set[str]:
        return {str(path) for path in (node.host.root / "var").rglob("*")}

    before = files()
    assert declare(node, check_mode=True)["changed"]
    assert files() == before
    assert not declare(node, check_mode=True, state="absent")["changed"]
    assert names(node) == []


def test_the_running_kernel_is_jumped_into_by_default(node: FakeNode) -> None:
    with pytest.raises(RefusedError, match=r"/boot/vmlinuz-6\.12\.0-old does not exist"):
        declare(node, kernel=None)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"count": 0}, "count: 0 is not between 1 and 100"),
        ({"vm_mib": []}, "an empty list"),
        ({"vm_mib": [64, 2048]}, "sizes are between 16 and 2047"),
        ({"vm_mib": [15]}, "sizes are between 16 and 2047"),
        ({"size_mib": 1}, "size_mib: 1 is not"),
    ],
)
def test_sizes_have_bounds(node: FakeNode, params: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        declare(node, **params)


def test_without_space_in_memory_it_is_refused(node: FakeNode) -> None:
    node.put("/proc/meminfo", "MemAvailable:  573440 kB\n")
    with pytest.raises(RefusedError, match="2 throw-away VMs need 576 MiB of memory, 560 MiB are free"):
        declare(node, vm_mib=[32])


def test_one_under_way_goes_on(node: FakeNode) -> None:
    """A second playbook begins none, and removes nothing of it."""
    declare(node)
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert not declare(node)["changed"]
    for state in ("finished", "absent"):
        with pytest.raises(RefusedError, match=r"in phase kexec|has not ended"):
            declare(node, state=state)
    assert resume.resume(node.live) == "done"
    declare(node, state="finished")
    nothing_is_left(node)


def test_a_run_that_has_not_begun_is_at_work(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(node)
    monkeypatch.setattr(run_unit, "is_active", lambda _host: True)
    assert not declare(node)["changed"]
    monkeypatch.setattr(run_unit, "is_active", lambda _host: False)
    assert declare(node, state="absent")["changed"]
    nothing_is_left(node)


@pytest.mark.parametrize("again", ["started", "absent"])
def test_whatever_was_interrupted_the_next_one_cleans_up(node: FakeNode, again: str) -> None:
    """Killed while VMs start, when all is armed, and after the jump."""
    throwaway.store(node.live.sysfs, throwaway.Record(NEW, (ThrowAway("rehearsal-7", 16, 1),)))
    throwaway_memory.start(node.live, [ThrowAway("rehearsal-7", 16, 1)], "/usr/bin/qemu-system-x86_64", "tcg")
    assert names(node) == ["rehearsal-7"]
    assert declare(node, state=again)["changed"]
    assert "rehearsal-7" not in names(node)
    if again == "absent":
        declare(node)
    jumped(node)
    assert declare(node, state=again, kernel=NEW)["changed"]
    declare(node, state="absent")
    nothing_is_left(node)


def test_killed_between_reservation_and_manifest(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is loaded and the host reserved, without any status."""

    class Killed(BaseException):
        pass

    def killed(*_words: object) -> None:
        raise Killed

    monkeypatch.setattr(manifest_file, "store", killed)
    monkeypatch.setattr(throwaway_removal, "remove", lambda _host: False)
    with pytest.raises(Killed):
        declare(node)
    monkeypatch.undo()
    assert node.live.kexec.loaded()
    assert declare(node, state="absent")["changed"]
    nothing_is_left(node)
    assert list((node.host.root / "var/lib/kvmfleet-sriov/live-update").iterdir()) == []


def test_a_real_update_is_not_forgotten_as_a_rehearsals(node: FakeNode) -> None:
    node.vm("web1", node.igb(), 6)
    arm(node)
    throwaway.store(node.live.sysfs, throwaway.Record(NEW, (ThrowAway("rehearsal-1", 16, 1),), "f" * 32))
    declare(node, state="absent")
    assert (phase(node), node.live.kexec.loaded()) == ("armed", True)


def test_an_update_that_came_back_is_a_failure_with_its_reason(node: FakeNode) -> None:
    """Nothing is kept of it, and nothing stays."""
    declare(node)
    node.reboot_errno = 1
    assert save.run(node.live) == "aborted"
    with pytest.raises(SriovError, match=f"jump into {NEW} failed: the update ended as 'aborted': .*EPERM"):
        declare(node, state="finished")
    assert rehearsal.load(node.host.sysfs).boots == {}
    nothing_is_left(node)


def test_a_vm_that_was_lost_leaves_no_state_behind(node: FakeNode) -> None:
    declare(node)
    with pytest.raises(Rebooted):
        save.run(node.live)
    state = node.live.folder.state("rehearsal-1")
    with open(state, "r+b") as file:
        file.truncate(10)
    assert resume.resume(node.live) == "failed"
    claim = _claim.load(node.live.folder.vm("rehearsal-1"))
    assert claim is not None
    with pytest.raises(SriovError, match="VMs not restored: rehearsal-1"):
        declare(node, state="finished")
    nothing_is_left(node)


def test_memory_that_differs_is_a_failure(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def differs(_host: LiveHost, vm: ThrowAway) -> str | None:
        return "3 pages are wrong" if vm.name == "rehearsal-2" else None

    declare(node)
    jumped(node)
    monkeypatch.setattr(throwaway_memory, "difference", differs)
    with pytest.raises(SriovError, match=r"failed: VM rehearsal-2: 3 pages are wrong$"):
        declare(node, state="finished")
    assert rehearsal.load(node.host.sysfs).boots == {}
    nothing_is_left(node)


def test_a_clock_that_jumped_measures_nothing(node: FakeNode) -> None:
    declare(node)
    jumped(node)
    path = node.host.root / "var/lib/kvmfleet-sriov/live-update/result.json"
    result = json.loads(path.read_text())
    next(one for one in result["phases"] if one["name"] == "resuming")["start"] -= 90_000
    path.write_text(json.dumps(result))
    with pytest.raises(SriovError, match="by the host's clock the boot took -"):
        declare(node, state="finished")
    assert rehearsal.load(node.host.sysfs).boots == {}


@pytest.mark.parametrize("text", ["[]", '{"schema": 2}', '{"schema": 1, "release": "x", "vms": [{}], "manifest": ""}'])
def test_a_damaged_record_is_said_with_what_to_type(node: FakeNode, text: str) -> None:
    (node.host.root / LEFT[0]).mkdir(parents=True)
    (node.host.root / LEFT[0] / "record.json").write_text(text)
    with pytest.raises(BadInputError, match=r"record\.json"):
        declare(node)


def test_nothing_to_finish(node: FakeNode) -> None:
    with pytest.raises(RefusedError, match="no rehearsal was started on this host"):
        declare(node, state="finished")
    assert not declare(node, state="absent")["changed"]


def test_another_owner_is_kept_out(node: FakeNode) -> None:
    declare(node, owner="one")
    for state in ("started", "finished", "absent"):
        with pytest.raises(RefusedError, match="reserved by 'one'"):
            declare(node, owner="two", state=state)


def test_kvm_is_used_where_the_host_has_it(node: FakeNode) -> None:
    node.put("/dev/kvm", "")
    found = [throwaway.accelerator(node.live.sysfs, wanted) for wanted in ("auto", "kvm", "tcg")]
    (node.host.root / "dev/kvm").unlink()
    assert (found, throwaway.accelerator(node.live.sysfs, "auto")) == (["kvm", "kvm", "tcg"], "tcg")
    declare(node)
    assert all(qemu.argv[qemu.argv.index("-accel") + 1] == "tcg" for qemu in node.qemus)


def test_no_qemu_and_no_pc(node: FakeNode) -> None:
    (node.host.root / "usr/bin/qemu-system-x86_64").unlink()
    with pytest.raises(RefusedError, match="there is no QEMU"):
        declare(node)
    with pytest.raises(RefusedError, match="this host is aarch64"):
        throwaway.program(node.live.sysfs, "aarch64")
