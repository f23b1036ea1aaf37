# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways out after a panic, a power cut or a failed restore."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import kept_states, resume, save, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.status import Progress
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import update_folder
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import OLD, FakeNode, Rebooted
from tests.fake.vm.update import PROPERTIES, Killed, arm, claim, jump, live, phase, result

ORDINARY = "BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet"


def back_on_the_old_kernel(node: FakeNode) -> None:
    """A panic of the new kernel: the firmware boots the old one."""
    node.kexec(ORDINARY)
    node.put("/proc/sys/kernel/osrelease", OLD + "\n")


def memory(node: FakeNode) -> object:
    return (live(node).guest or {})["boot"]


def policy(name: str) -> dict[str, object]:
    return {"vms": {"web1": {"name": "web1", "on_other_kernel": name}}}


def test_by_itself_on_another_kernel(node: FakeNode, pf: FakePf) -> None:
    before = memory(node)
    jump(node)
    back_on_the_old_kernel(node)
    assert way_out.come_back(node.live) == "failed"
    assert memory(node) == before
    assert node.properties(result(node)["vms"][0]["vfs"][0]).items() >= PROPERTIES.items()
    found = result(node)
    assert found["result"] == "returned"
    assert f"came back on kernel {OLD}" in found["error"]
    assert claim(node).state == "acknowledged"


def test_a_policy_to_leave_starts_nothing_and_a_person_can(node: FakeNode, pf: FakePf) -> None:
    before = memory(node)
    arm(node, **policy("leave"))
    with pytest.raises(Rebooted):
        save.run(node.live)
    back_on_the_old_kernel(node)
    assert way_out.come_back(node.live) == "failed"
    assert node.live_vm("web1") is None
    assert claim(node).state == "saved"
    assert way_out.restore(node.live, ["web1"]) == "failed"
    assert result(node)["result"] == "returned"
    assert memory(node) == before


def test_a_policy_of_a_cold_start_loads_no_memory_ever(node: FakeNode, pf: FakePf) -> None:
    before = memory(node)
    arm(node, vms={"web1": {"name": "web1", "on_other_kernel": "cold-start", "cold_start": True}})
    with pytest.raises(Rebooted):
        save.run(node.live)
    back_on_the_old_kernel(node)
    way_out.come_back(node.live)
    assert memory(node) != before
    live(node).end()
    way_out.restore(node.live, [])
    assert node.live_vm("web1") is None


@pytest.mark.parametrize("at", ["before the claim", "after the claim", "before cont", "after cont"])
def test_a_resume_that_dies_and_a_host_that_returns(
    node: FakeNode, pf: FakePf, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory is loaded again while the guest has executed nothing."""
    before = memory(node)
    jump(node)
    original = _claim.store

    def dies(folder: str, one: _claim.Claim) -> _claim.Claim:
        when = {"claimed": ("before the claim", "after the claim"), "running": ("before cont", "after cont")}
        names = when.get(one.state, ())
        if at == (names or ("",))[0]:
            raise Killed
        stored = original(folder, one)
        if at == (names or ("", ""))[1]:
            raise Killed
        return stored

    monkeypatch.setattr(_claim, "store", dies)
    with pytest.raises(Killed):
        resume.resume(node.live)
    monkeypatch.setattr(_claim, "store", original)
    back_on_the_old_kernel(node)
    way_out.come_back(node.live)
    if at == "after cont":
        assert node.live_vm("web1") is None
        assert claim(node).state == "running"
        with pytest.raises(RefusedError, match="saved states of web1 would be lost"):
            way_out.forget(node.live, [])
    else:
        assert memory(node) == before


@pytest.mark.parametrize("at", ["claimed", "running"])
@pytest.mark.parametrize("way", ["by itself", "by hand"])
def test_a_killed_resume_is_finished_in_the_same_boot(
    node: FakeNode, pf: FakePf, at: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when its QEMU waits for the guest's first instruction."""
    before = memory(node)
    jump(node)
    original = _claim.store

    def dies(folder: str, one: _claim.Claim) -> _claim.Claim:
        stored = original(folder, one)
        if one.state == at:
            raise Killed
        return stored

    monkeypatch.setattr(_claim, "store", dies)
    with pytest.raises(Killed):
        resume.resume(node.live)
    monkeypatch.setattr(_claim, "store", original)
    assert phase(node) == "restoring"
    assert (way_out.come_back(node.live) if way == "by itself" else way_out.restore(node.live, [])) == "done"
    assert memory(node) == before
    assert live(node).status == "running"
    assert way_out.come_back(node.live) is None


def test_a_resume_that_was_killed_after_its_vms_is_finished(
    node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No VM waits any more, but other VFs still do."""
    jump(node)
    original = Progress.enter

    def dies(self: Progress, entered: str, *more: str) -> None:
        original(self, entered, *more)
        if entered == update_folder.FILLING:
            raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(Progress, "enter", dies)
        with pytest.raises(Killed):
            resume.resume(node.live)
    assert (phase(node), live(node).status) == ("filling", "running")
    assert way_out.come_back(node.live) == "done"


def test_a_damaged_claim_keeps_no_other_vm_from_its_second_attempt(node: FakeNode, pf: FakePf) -> None:
    node.vm("db1")
    jump(node)
    node.scripts["web1"].start = "exits"
    node.scripts["db1"] = replace(node.scripts["web1"])
    assert resume.resume(node.live) == "failed"
    node.scripts["web1"].start = node.scripts["db1"].start = "runs"
    node.put("/var/lib/kvmfleet-sriov/live-update/vms/web1/claim.json", "{")
    way_out.come_back(node.live)
    assert node.live_vm("db1") is not None
    assert node.live_vm("web1") is None


def test_second_attempt_later_in_the_boot(node: FakeNode, pf: FakePf) -> None:
    before = memory(node)
    jump(node)
    node.scripts["web1"].start = "exits"
    assert resume.resume(node.live) == "failed"
    assert claim(node).state == "failed"
    node.scripts["web1"].start = "runs"
    assert way_out.come_back(node.live) == "done"
    assert result(node)["result"] == "updated"
    assert memory(node) == before
    assert way_out.come_back(node.live) is None


def test_second_attempt_finds_nothing_to_do(node: FakeNode, pf: FakePf) -> None:
    assert way_out.come_back(node.live) is None
    arm(node)
    assert way_out.come_back(node.live) is None
    back_on_the_old_kernel(node)
    assert way_out.come_back(node.live) is None
    assert phase(node) == "armed"


def test_by_hand_on_the_kernel_that_saved(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run and its recovery were both killed."""
    before = memory(node)
    arm(node)

    def killed(*_arguments: object) -> None:
        raise Killed

    monkeypatch.setattr(type(node.qemu), "discard", killed)
    with pytest.raises(Killed):
        save.run(node.live)
    assert live(node).status != "running"
    with pytest.raises(RefusedError, match=r"stopped in phase saved: .sriovctl live-update restore."):
        way_out.forget(node.live, [])
    assert way_out.restore(node.live, []) == "aborted"
    assert live(node).status == "running"
    assert memory(node) == before


def test_a_crash_kernel_restores_nothing(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    node.kexec(f"{ORDINARY} elfcorehdr=0x1000")
    with pytest.raises(BadInputError, match="this is a crash kernel"):
        way_out.restore(node.live, [])
    with pytest.raises(BadInputError, match="this is a crash kernel"):
        way_out.come_back(node.live)
    with pytest.raises(BadInputError, match="this is a crash kernel"):
        way_out.forget(node.live, ["web1"])
    assert node.live_vm("web1") is None
    assert claim(node).state == "saved"


def test_restore_names_what_there_is(node: FakeNode, pf: FakePf) -> None:
    with pytest.raises(BadInputError, match="no live update on this host"):
        way_out.restore(node.live, [])
    arm(node)
    with pytest.raises(RefusedError, match="has not begun"):
        way_out.restore(node.live, [])
    with pytest.raises(BadInputError, match="has no VM web2; it has: web1"):
        way_out.restore(node.live, ["web2"])


def test_a_vm_that_somebody_started_meanwhile_is_left_alone(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    back_on_the_old_kernel(node)
    node.vm("web1")
    assert way_out.restore(node.live, []) == "failed"
    assert claim(node).state == "saved"


def test_forgetting_gives_memory_up_only_by_name(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    node.scripts["web1"].start = "exits"
    resume.resume(node.live)
    with pytest.raises(RefusedError, match="saved states of web1 would be lost"):
        way_out.forget(node.live, [])
    with pytest.raises(BadInputError, match="VM web9 has no saved state here; there are: web1"):
        way_out.forget(node.live, ["web1", "web9"])
    assert phase(node) == "failed"
    assert way_out.forget(node.live, ["web1"])
    assert node.live.folder.read_status() is None
    (aside,) = (node.host.root / "var/lib/kvmfleet-sriov/discarded").iterdir()
    assert (aside / "state").stat().st_size > 0
    assert aside.parent.stat().st_mode & 0o777 == 0o700
    assert not way_out.forget(node.live, [])


def test_discarded_states_go_after_a_week(node: FakeNode, pf: FakePf) -> None:
    for days, left in ((0, 1), (6, 2), (8, 1)):
        folder = node.host.root / "var/lib/kvmfleet-sriov/live-update/vms/web1"
        folder.mkdir(parents=True)
        (folder / "state").write_text("memory")
        late = LaterHost(node, days * 86400.0)
        kept_states.discard(late.host, ["web1"])
        assert len(list((node.host.root / "var/lib/kvmfleet-sriov/discarded").iterdir())) == left


class LaterHost:
    """A node whose clock is ahead."""

    def __init__(self, node: FakeNode, seconds: float) -> None:
        self.host = replace(node.live, now=lambda: node.live.now() + seconds)


def test_forgetting_an_armed_update_unloads_its_kernel(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    assert way_out.forget(node.live, [])
    assert node.loaded is None


@pytest.mark.parametrize(("cold_start", "found"), [(True, "cold-started"), (False, "ended")])
def test_a_vm_that_is_killed_while_it_is_saved(
    node: FakeNode, pf: FakePf, cold_start: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has its memory: it starts from its disk, if allowed."""
    before = memory(node)
    arm(node, vms={"web1": {"name": "web1", "cold_start": cold_start}})

    def dies(*_arguments: object) -> None:
        live(node).end()
        raise RefusedError("QEMU is gone")

    monkeypatch.setattr(type(node.qemu), "save", dies)
    assert save.run(node.live) == "aborted"
    assert [vm["result"] for vm in result(node)["vms"]] == [found]
    if cold_start:
        assert memory(node) != before
    else:
        assert node.live_vm("web1") is None
