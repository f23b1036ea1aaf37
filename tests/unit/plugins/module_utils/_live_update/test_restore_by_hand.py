# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing saved VMs back by hand: those that are named, and again."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    RefusedError,
    SriovError,
    ToolError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.state_file import NO_FILE
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import OPTIONS, Killed, arm, claim, jump, killed, live, phase, result

HOOK = ("/usr/bin/ha-check",)


@pytest.fixture
def pair(node: FakeNode, pf: FakePf) -> FakeNode:
    """A node with VMs web1 and web2, of one disk each."""
    for qemu in node.qemus:
        qemu.end()
    node.images = {"web1": ("/vm/web1.img",), "web2": ("/vm/web2.img",)}
    node.vm("web1", pf, 6)
    node.vm("web2", pf, 2)
    return node


def saved_and_ended(node: FakeNode) -> dict[str, object]:
    """Save and end both VMs in a run that is killed.

    Returns their memory.
    """
    memory = {name: (live(node, name).guest or {})["boot"] for name in ("web1", "web2")}
    arm(node)

    def dies(*_words: object, **_names: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(save, "jump", dies)
        with pytest.raises(Killed):
            save.run(node.live)
    assert [node.live_vm(name) for name in memory] == [None, None]
    return memory


def results(node: FakeNode) -> dict[str, str]:
    return {vm["name"]: vm["result"] for vm in result(node)["vms"]}


def test_a_restore_that_failed_is_tried_again(pair: FakeNode) -> None:
    """On the kernel that saved it, too."""
    memory = saved_and_ended(pair)
    pair.scripts["web1"].start = "exits"
    assert way_out.restore(pair.live, []) == "failed"
    assert claim(pair).state == "failed"
    assert live(pair, "web2").status == "running"
    pair.scripts["web1"].start = "ok"
    assert way_out.restore(pair.live, []) == "aborted"
    assert (live(pair).guest or {})["boot"] == memory["web1"]
    assert results(pair) == {"web1": "restored", "web2": "restored"}


def test_only_those_that_are_named_come_back(pair: FakeNode) -> None:
    memory = saved_and_ended(pair)
    assert way_out.restore(pair.live, ["web1"]) == "kexec"
    assert (live(pair).guest or {})["boot"] == memory["web1"]
    assert pair.live_vm("web2") is None
    assert claim(pair, "web2").state == "saved"
    assert not pair.live.kexec.loaded()
    status = pair.live.folder.read_status() or {}
    assert (status["phase"], "VMs still to be brought back: web2" in status["message"]) == ("kexec", True)
    with pytest.raises(RefusedError, match="sriovctl live-update restore"):
        way_out.forget(pair.live, [])
    assert way_out.restore(pair.live, ["web2"]) == "aborted"
    assert (live(pair, "web2").guest or {})["boot"] == memory["web2"]
    assert way_out.forget(pair.live, [])


def test_a_vm_that_was_unplugged_and_not_named_is_not_forgotten(pair: FakeNode) -> None:
    """It has no claim yet: the phase alone keeps its way back."""
    arm(pair)
    with killed(pair, "save", "web2"), pytest.raises(Killed):
        save.run(pair.live)
    assert way_out.restore(pair.live, ["web1"]) == "saving"
    assert live(pair).status == "running"
    assert live(pair, "web2").devices == {}
    with pytest.raises(RefusedError, match="stopped in phase saving"):
        way_out.forget(pair.live, [])
    assert way_out.restore(pair.live, []) == "aborted"
    assert len(live(pair, "web2").devices) == 1


def test_a_vm_that_was_started_meanwhile_keeps_its_saved_memory(pair: FakeNode) -> None:
    """By somebody, on the kernel that saved it: both states are kept."""
    saved_and_ended(pair)
    other = pair.vm("web1")
    assert way_out.restore(pair.live, []) == "failed"
    assert live(pair) is other
    assert other.commands == []
    assert claim(pair).state == "saved"
    assert Path(pair.live.folder.state("web1")).exists()
    assert "another VM of this name runs already" in str(result(pair)["vms"][0]["error"])


def test_a_process_that_was_not_armed_is_left_alone(pair: FakeNode) -> None:
    arm(pair)
    live(pair).end()
    other = pair.vm("web1")
    assert save.run(pair.live) == "aborted"
    assert live(pair) is other
    assert not {"cont", "device_add", "migrate_cancel"} & set(other.commands)
    assert results(pair)["web1"] == "replaced"


def old(node: FakeNode) -> None:
    object.__setattr__(node.live, "now", lambda: time.time() + 5000.0)


def test_a_person_confirms_vm_by_vm(pair: FakeNode) -> None:
    """In place of the hook that the update was armed without."""
    jump(pair)
    old(pair)
    assert resume.resume(pair.live) == "failed"
    assert "`sriovctl live-update restore web1 --confirm-not-elsewhere`" in str(result(pair)["vms"][0]["error"])
    assert way_out.restore(pair.live, ["web1"]) == "failed"
    assert pair.live_vm("web1") is None
    with pytest.raises(BadInputError, match="--confirm-not-elsewhere is said of VMs by name"):
        way_out.restore(pair.live, [], confirmed=True)
    way_out.restore(pair.live, ["web1"], confirmed=True)
    assert live(pair).status == "running"
    assert pair.live_vm("web2") is None
    assert any("web1: a person has confirmed that it runs nowhere else" in line for line in pair.log)


def test_a_person_confirms_on_the_kernel_that_saved(pair: FakeNode) -> None:
    saved_and_ended(pair)
    old(pair)
    assert way_out.restore(pair.live, ["web1"]) == "kexec"
    assert pair.live_vm("web1") is None
    way_out.restore(pair.live, ["web1"], confirmed=True)
    assert live(pair).status == "running"


def test_no_confirmation_loads_over_another_image(pair: FakeNode) -> None:
    jump(pair)
    Path(pair.host.sysfs.real("/vm/web1.img")).write_text("newer")
    before = claim(pair)
    for _attempt in range(2):
        way_out.restore(pair.live, ["web1"], confirmed=True)
        assert pair.live_vm("web1") is None
        assert claim(pair) == before
    assert "its memory is not loaded" in str(result(pair)["vms"][0]["error"])


def test_no_confirmation_overrides_the_hook(pair: FakeNode) -> None:
    arm(pair, options=replace(OPTIONS, confirm_not_elsewhere=HOOK))
    with pytest.raises(Rebooted):
        save.run(pair.live)
    run = pair.live.run

    def asked(argv: list[str]) -> str:
        if argv[0] == HOOK[0]:
            raise ToolError(argv, 1, "it runs on h2")
        return run(argv)

    object.__setattr__(pair.live, "run", asked)
    assert way_out.restore(pair.live, ["web1"], confirmed=True) == "failed"
    assert pair.live_vm("web1") is None
    assert "it runs on h2" in str(result(pair)["vms"][0]["error"])


def test_a_damaged_claim_is_named_with_what_to_type(pair: FakeNode) -> None:
    """By the second attempt too, which goes on with the others."""
    jump(pair)
    for name in ("web1", "web2"):
        pair.scripts[name].start = "exits"
    assert resume.resume(pair.live) == "failed"
    Path(_claim.path(pair.live.folder.vm("web1"))).write_text("{")
    pair.scripts["web2"].start = "ok"
    assert way_out.come_back(pair.live) == "failed"
    assert live(pair, "web2").status == "running"
    assert any("forget --discard-memory web1" in line for line in pair.log)
    assert way_out.restore(pair.live, ["web1"]) == "failed"
    assert "`sriovctl live-update forget --discard-memory web1`" in str(result(pair)["vms"][0]["error"])
    assert pair.live_vm("web1") is None
    assert way_out.forget(pair.live, ["web1"])


def test_a_claim_that_cannot_be_read_is_needed(pair: FakeNode) -> None:
    """Whatever the kernel says of it."""
    jump(pair)
    path = Path(_claim.path(pair.live.folder.vm("web1")))
    path.unlink()
    path.mkdir()
    assert resume.resume(pair.live) == "failed"
    assert live(pair, "web2").status == "running"
    assert way_out.come_back(pair.live) is None
    with pytest.raises(RefusedError, match="saved states of web1"):
        way_out.forget(pair.live, [])


@pytest.mark.parametrize("why", ["states", "names"])
def test_forgetting_looks_before_it_undoes(pair: FakeNode, why: str) -> None:
    """The loaded kernel, the states and the manifest stay after a refusal."""
    arm(pair)
    if why == "states":
        pair.live.folder.make_vm("old")
        _claim.store(pair.live.folder.vm("old"), _claim.Claim("m", "old", "saved", "b", "u", 1.0, NO_FILE, 0.5, 0.7))
    with pytest.raises(SriovError, match=r"saved states of old would be lost|VM web9 has no saved state here"):
        way_out.forget(pair.live, ["web9"] if why == "names" else [])
    assert pair.live.kexec.loaded()
    assert phase(pair) == "armed"


def test_a_vf_that_was_released_after_the_watch_is_plugged_again(pair: FakeNode) -> None:
    """By hand, and nothing else is done to that VM."""
    arm(pair)
    pair.scripts["web1"].unplug, pair.scripts["web1"].late_s = "late", 1000.0
    assert save.run(pair.live) == "aborted"
    qemu = live(pair)
    error = str({vm["name"]: vm["error"] for vm in result(pair)["vms"]}["web1"])
    assert "Once it has, `sriovctl live-update restore web1` plugs it again; after the update is forgotten: (" in error
    qemu.answer_late()
    assert qemu.devices == {}
    qemu.status = "paused"  # by its owner
    qemu.commands.clear()
    assert way_out.restore(pair.live, ["web1"]) == "aborted"
    assert len(qemu.devices) == 1
    assert qemu.status == "paused"
    assert not {"cont", "stop", "migrate_cancel", "migrate-set-capabilities"} & set(qemu.commands)
    assert {vm["name"]: vm["error"] for vm in result(pair)["vms"]} == {"web1": None, "web2": None}


def test_a_request_that_is_still_open_is_still_said(pair: FakeNode) -> None:
    """The watch begins once more, and ends without an answer."""
    arm(pair)
    pair.scripts["web1"].unplug, pair.scripts["web1"].late_s = "late", 1000.0
    assert save.run(pair.live) == "aborted"
    assert way_out.restore(pair.live, []) == "aborted"
    assert "and may do so at any time" in str({vm["name"]: vm["error"] for vm in result(pair)["vms"]}["web1"])
    assert len(live(pair).devices) == 1
