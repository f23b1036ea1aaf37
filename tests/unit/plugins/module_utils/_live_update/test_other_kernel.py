# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies of saved VMs on another kernel, with obstacles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import (
    pfs,
    resume,
    save,
    status,
    vm_choices,
    way_out,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import COLD_START
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import OLD, FakeNode, Rebooted
from tests.fake.vm.update import OPTIONS, arm, claim, live, result

HOOK = ("/usr/bin/ha-check",)
COLD = {"on_other_kernel": "cold-start", "cold_start": True}


@pytest.fixture
def pair(node: FakeNode, pf: FakePf) -> FakeNode:
    """A node with VMs web1 and web2; web1 has a disk."""
    for qemu in node.qemus:
        qemu.end()
    node.images = {"web1": ("/vm/web1.img",)}
    node.vm("web1", pf, 6)
    node.vm("web2", pf, 2)
    return node


def back(node: FakeNode) -> None:
    """A panic of the new kernel: the firmware boots the old one."""
    node.kexec("BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet")
    node.put("/proc/sys/kernel/osrelease", OLD + "\n")


def jumped(node: FakeNode, policy: dict[str, object], **changes: object) -> None:
    arm(node, vms=vm_choices.by_name([{"name": "web1", **policy}]), **changes)
    with pytest.raises(Rebooted):
        save.run(node.live)


def answering(node: FakeNode, answer: Callable[[list[str]], str]) -> list[list[str]]:
    """The hook's calls from now on, which are answered so."""
    run, calls = node.live.run, []

    def asked(argv: list[str]) -> str:
        if argv[0] != HOOK[0]:
            return run(argv)
        calls.append(argv)
        return answer(argv)

    object.__setattr__(node.live, "run", asked)
    return calls


def refused(argv: list[str]) -> str:
    raise ToolError(argv, 1, "it runs on h2")


def test_memory_is_given_up_only_after_the_hook_agrees(pair: FakeNode) -> None:
    jumped(pair, COLD, options=replace(OPTIONS, confirm_not_elsewhere=HOOK))
    back(pair)
    before = claim(pair)
    answering(pair, refused)
    assert way_out.come_back(pair.live) == "failed"
    assert claim(pair) == before
    assert pair.live_vm("web1") is None
    assert "it runs on h2" in str(result(pair)["vms"][0]["error"])


def test_the_hook_is_asked_once(pair: FakeNode) -> None:
    jumped(pair, COLD, options=replace(OPTIONS, confirm_not_elsewhere=HOOK))
    back(pair)
    calls = answering(pair, lambda _argv: "")
    way_out.come_back(pair.live)
    assert sorted(calls) == [[*HOOK, "web1"], [*HOOK, "web2"]]
    assert {vm["name"]: vm["result"] for vm in result(pair)["vms"]} == {"web1": "cold-started", "web2": "restored"}


def test_memory_is_kept_while_the_vfs_cannot_be_made(pair: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cold start that cannot happen gives nothing up."""
    jumped(pair, COLD)
    back(pair)
    before = claim(pair)

    def fails(_pfs: object, group: list[object]) -> None:
        raise ToolError(["ip"], 1, "RTNETLINK answers: Operation not supported")

    monkeypatch.setattr(pfs.PfSet, "give", fails)
    way_out.come_back(pair.live)
    assert claim(pair) == before


def test_a_manifest_without_the_permission_gives_nothing_up(pair: FakeNode) -> None:
    """By whatever it was armed."""
    arm(pair, vms={"web1": {"name": "web1", "on_other_kernel": COLD_START}})
    with pytest.raises(Rebooted):
        save.run(pair.live)
    back(pair)
    before = claim(pair)
    way_out.come_back(pair.live)
    assert claim(pair) == before
    assert "armed without cold_start: true" in str(result(pair)["vms"][0]["error"])


def test_a_shared_disk_is_not_started_from_without_the_hook(pair: FakeNode) -> None:
    """Its VM may run on another host, whatever becomes of the memory."""
    jumped_on_nfs(pair)
    back(pair)
    way_out.come_back(pair.live)
    assert pair.live_vm("web1") is None
    assert claim(pair).state == "saved"
    assert "is on shared storage" in str(result(pair)["vms"][0]["error"])
    assert live(pair, "web2").status == "running"
    way_out.restore(pair.live, ["web1"], confirmed=True)
    assert live(pair).status == "running"


def jumped_on_nfs(node: FakeNode) -> None:
    """The file system became shared after arming."""
    arm(node, vms=vm_choices.by_name([{"name": "web1", **COLD}]))
    node.put("/proc/self/mountinfo", "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:9 / /vm rw - nfs4 h:/e rw\n")
    with pytest.raises(Rebooted):
        save.run(node.live)


def test_a_guest_that_ran_is_not_started_cold_from_a_shared_disk(pair: FakeNode) -> None:
    jumped_on_nfs(pair)
    folder = pair.live.folder.vm("web1")
    _claim.store(folder, replace(claim(pair), state="running"))
    back(pair)
    way_out.come_back(pair.live)
    assert pair.live_vm("web1") is None
    assert "is on shared storage" in str(result(pair)["vms"][0]["error"])


@pytest.mark.parametrize("policy", [COLD, {}])
def test_a_damaged_claim_stops_no_other_vm(pair: FakeNode, policy: dict[str, object]) -> None:
    jumped(pair, policy)
    Path(_claim.path(pair.live.folder.vm("web1"))).write_text("{")
    back(pair)
    assert way_out.come_back(pair.live) == "failed"
    assert live(pair, "web2").status == "running"
    assert pair.live_vm("web1") is None
    found = {vm["name"]: vm for vm in result(pair)["vms"]}
    assert "`sriovctl live-update forget --discard-memory web1`" in found["web1"]["error"]
    assert Path(pair.live.folder.state("web1")).exists()


@pytest.mark.parametrize(("policy", "ends"), [({}, "restored"), (COLD, "cold-started")])
def test_a_restore_that_failed_on_the_new_kernel(pair: FakeNode, policy: dict[str, object], ends: str) -> None:
    """Its memory is good on the other kernel, too."""
    jumped(pair, policy)
    pair.scripts["web1"].start = "exits"
    assert resume.resume(pair.live) == "failed"
    assert claim(pair).state == "failed"
    found = pair.live.folder.read_status() or {}
    status.write_status(pair.live.folder, found["manifest"], "restoring", found["boot_id"], 1.0)  # it panics meanwhile
    pair.scripts["web1"].start = "ok"
    back(pair)
    way_out.come_back(pair.live)
    assert {vm["name"]: vm["result"] for vm in result(pair)["vms"]}["web1"] == ends


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_awaited_where_a_vm_is_saved(pair: FakeNode, fails: bool) -> None:
    """Images may be behind it; VMs are tried without it, too."""
    jumped(pair, {})
    back(pair)
    wanted = ["systemctl", "start", "network-online.target"]

    def acts(argv: list[str]) -> None:
        if argv == wanted and fails:
            raise ToolError(argv, 1, "Job failed")

    pair.on_run = acts
    before = len(pair.calls)
    assert way_out.come_back(pair.live) == "failed"  # the host is back on its old kernel
    calls = pair.calls[before:]
    assert calls.index(wanted) < min(number for number, one in enumerate(calls) if one[0] == "systemd-run")
    assert {vm["result"] for vm in result(pair)["vms"]} == {"restored"}
    after = len(pair.calls)
    assert way_out.come_back(pair.live) is None
    assert wanted not in pair.calls[after:]
