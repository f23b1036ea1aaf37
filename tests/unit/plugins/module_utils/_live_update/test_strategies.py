# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of VMs whose strategy is another than to be saved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save, vm_choices, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.manifest import Manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import DEADLINES, FakeNode, Rebooted
from tests.fake.vm.update import Killed, arm, claim, killed, live, request, result

SHUTDOWN = vm_choices.by_name([{"name": "web1", "strategy": "shutdown"}])
FIRMWARE = "BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet"


@pytest.fixture
def two(node: FakeNode, pf: FakePf) -> FakeNode:
    """A node with VMs web1 and web2, each with a VF."""
    node.vm("web2", pf, 0)
    node.scripts["web1"].power = "ok"
    usual = replace(DEADLINES, shutdown_s=20.0, migrate_s=20.0, start_s=20.0, answer_s=20.0)
    object.__setattr__(node.qemu, "deadlines", usual)
    return node


def armed(node: FakeNode) -> Manifest:
    return arm(node, vms=SHUTDOWN)


def results(node: FakeNode) -> dict[str, str]:
    return {vm["name"]: vm["result"] for vm in result(node)["vms"]}


def refusals(node: FakeNode, strategy: str) -> list[str]:
    annotations = vm_choices.by_name([{"name": "web1", "strategy": strategy}])
    _facts, verdict = _arm.examine(node.live, request(vms=annotations))
    return [str(item) for item in verdict.refusals]


def boot(node: FakeNode) -> object:
    return (live(node).guest or {})["boot"]


def test_one_is_shut_down_and_starts_from_its_disk(two: FakeNode) -> None:
    armed(two)
    before = boot(two)
    with pytest.raises(Rebooted):
        save.run(two.live)
    assert results(two)["web1"] == "shut-down"
    asked = [one for one in two.commands if one[1] in ("device_del", "system_powerdown", "stop")]
    assert asked == [("web2", "device_del"), ("web1", "system_powerdown"), ("web2", "stop")]
    assert claim(two).state == _claim.RUNNING
    assert not _claim.STATES[claim(two).state].loadable
    assert resume.resume(two.live) == "done"
    assert results(two) == {"web1": "cold-started", "web2": "restored"}
    assert boot(two) != before
    assert len(live(two).devices) == 1


def test_its_outage_begins_with_its_shutdown(two: FakeNode) -> None:
    armed(two)
    with pytest.raises(Rebooted):
        save.run(two.live)
    found = {vm["name"]: vm for vm in result(two)["vms"]}
    assert found["web2"]["paused_at"] < found["web1"]["paused_at"] <= found["web1"]["stopped_at"]


def test_a_guest_that_stays_ends_the_update(two: FakeNode) -> None:
    two.vm("web3")
    two.scripts["web1"].power = "ignored"
    two.scripts["web3"].power = "ok"
    both = [{"name": name, "strategy": "shutdown"} for name in ("web1", "web3")]
    arm(two, vms=vm_choices.by_name(both))
    object.__setattr__(two.qemu, "deadlines", replace(DEADLINES, shutdown_s=0.5, start_s=20.0, answer_s=20.0))
    before = boot(two)
    assert save.run(two.live) == "aborted"
    assert results(two) == {"web1": "resumed-here", "web2": "resumed-here", "web3": "cold-started"}
    assert boot(two) == before
    assert [len(live(two, name).devices) for name in ("web1", "web2")] == [1, 1]
    assert "VM web1: gave up waiting for VM web1 to shut down" in result(two)["error"]
    assert not [name for name, command in two.commands if command == "stop"]


def test_nobody_is_shut_down_while_another_guest_keeps_its_vfs(two: FakeNode) -> None:
    armed(two)
    two.scripts["web2"].unplug = "never"
    assert save.run(two.live) == "aborted"
    assert ("web1", "system_powerdown") not in two.commands
    assert results(two) == {"web1": "resumed-here", "web2": "resumed-here"}


def test_one_that_changed_since_arming_is_not_shut_down(two: FakeNode) -> None:
    armed(two)
    live(two).do_device_del("vf0")
    assert save.run(two.live) == "aborted"
    assert "armed were" in result(two)["error"]
    assert ("web1", "system_powerdown") not in two.commands


def test_one_that_its_user_shut_down_stays_down(two: FakeNode) -> None:
    armed(two)
    live(two).end()
    with pytest.raises(Rebooted):
        save.run(two.live)
    assert results(two)["web1"] == "ended"


@pytest.mark.parametrize(("again", "ends"), [("cold-started", "failed"), ("left", "failed")])
def test_power_is_cut_while_it_shuts_down(two: FakeNode, again: str, ends: str) -> None:
    """It starts from its disks, where its policy lets it."""
    policy = {"on_other_kernel": "leave"} if again == "left" else {}
    arm(two, vms=vm_choices.by_name([{"name": "web1", "strategy": "shutdown", **policy}]))
    with killed(two, "power_down"), pytest.raises(Killed):
        save.run(two.live)
    assert (claim(two).state, claim(two).boot_id) == (_claim.RUNNING, _claim.NO_BOOT)
    two.kexec(FIRMWARE)
    assert way_out.come_back(two.live) == ends
    assert results(two)["web1"] == again
    assert (two.live_vm("web1") is not None) is (again == "cold-started")


def test_a_host_is_left_alone_for_a_vm(two: FakeNode) -> None:
    (refusal,) = refusals(two, "leave")
    pid = two.qemus[0].pid
    assert refusal.startswith(f"VM web1 (process {pid}) runs here, and its strategy is leave: this host is left alone")
    _facts, verdict = _arm.examine(two.live, request(vms=vm_choices.by_name([{"name": "web1", "strategy": "leave"}])))
    assert [item.code for item in verdict.refusals] == ["leave"]


def test_what_only_hinders_a_save_does_not_hinder_a_shutdown(two: FakeNode) -> None:
    two.scripts["web1"].blocked = ["device ivshmem cannot migrate"]
    assert any("QEMU refuses to migrate it" in text for text in refusals(two, "in-place"))
    assert refusals(two, "shutdown") == []


def test_what_hinders_its_return_does(two: FakeNode) -> None:
    two.scripts["web1"].hotplugged = ["net7"]
    (refusal,) = refusals(two, "shutdown")
    assert "devices plugged since its start would not come back: net7" in refusal


def test_its_memory_takes_no_time_and_no_space(two: FakeNode) -> None:
    before, _verdict = _arm.examine(two.live, request())
    saved = _arm.examine(two.live, request())[1]
    down = _arm.examine(two.live, request(vms=SHUTDOWN))[1]
    assert len(before.vms) == 2
    assert down.estimate["restore"] < saved.estimate["restore"]
    assert down.estimate["shutdown"] > saved.estimate["shutdown"] == 0.0


def test_no_restore_of_it_is_tried(two: FakeNode) -> None:
    facts, _verdict = _arm.examine(two.live, request(vms=SHUTDOWN))
    assert [vm.name for vm in facts.vms if vm.pid in facts.dry_starts] == ["web2"]


@pytest.mark.parametrize("value", ["stop", 1, None])
def test_a_strategy_that_there_is_not(value: object) -> None:
    with pytest.raises(BadInputError, match=r"vms\[0\]\.strategy: .* is none of in-place, migrate, shutdown, leave"):
        vm_choices.by_name([{"name": "web1", "strategy": value}])
