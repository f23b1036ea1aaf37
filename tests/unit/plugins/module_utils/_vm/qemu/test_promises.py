# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's promises on processes, sockets and VFs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import manifest_file, resume, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.manifest import Manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.qmp import QmpError
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import arm, claim, jump, live, result


def saved(node: FakeNode) -> tuple[Manifest, Path]:
    """The VM, saved as a stream; its manifest and its state."""
    manifest = arm(node)
    state = node.host.root / "state"
    node.qemu.release(manifest.vms[0], str(state))
    node.qemu.save(manifest.vms[0], str(state))
    return manifest, state


def test_discard_waits_until_the_process_is_gone(node: FakeNode, pf: FakePf) -> None:
    """One that closed its monitor may still hold the VF's group."""
    manifest, _state = saved(node)
    node.scripts["web1"].quit = "lingers"
    with pytest.raises(SriovError, match=r"gave up waiting for QEMU \d+ of VM web1 to exit"):
        node.qemu.discard(manifest.vms[0])


def test_save_does_not_end_the_process(node: FakeNode, pf: FakePf) -> None:
    manifest, state = saved(node)
    assert state.exists()
    assert live(node).status == "postmigrate"
    node.qemu.undo(manifest.vms[0], str(state))
    assert live(node).status == "running"
    with pytest.raises(SriovError, match="is running after its save: it is not ended"):
        node.qemu.discard(manifest.vms[0])
    assert not node.qemu.withdraw(manifest.vms[0])


def test_a_socket_that_was_left_behind_is_in_nobodys_way(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    node.put("/run/kvmfleet-vm/web1.qmp", "")
    assert resume.resume(node.live) == "done"
    assert live(node).status == "running"


def test_the_unit_begins_early_and_ends_with_the_host(node: FakeNode, pf: FakePf) -> None:
    """The resume is before sysinit.target: default dependencies would wait for it."""
    jump(node)
    resume.resume(node.live)
    (words,) = [call for call in node.calls if call[0] == "systemd-run" and "--unit=kvmfleet-vm-web1.service" in call]
    properties = {word.removeprefix("--property=") for word in words if word.startswith("--property=")}
    assert {"DefaultDependencies=no", "Conflicts=shutdown.target", "Before=shutdown.target"} <= properties


def test_a_vf_that_is_not_there_after_it_was_plugged(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    node.scripts["web1"].add = "lost"
    assert resume.resume(node.live) == "failed"
    assert f"VFs missing: {pf.vfs[6].address}" in result(node)["vms"][0]["error"]
    assert claim(node).state == "running"


def test_a_guest_that_is_busy_is_asked_again(node: FakeNode, pf: FakePf) -> None:
    """Its slot's power indicator blinks for up to five seconds."""
    node.scripts["web1"].blinks = 2
    object.__setattr__(node.qemu, "sleep", lambda _seconds: None)
    saved(node)
    assert live(node).devices == {}


def test_a_guest_that_stays_busy_is_not_saved(node: FakeNode, pf: FakePf) -> None:
    node.scripts["web1"].blinks = 1000
    arm(node)
    assert save.run(node.live) == "aborted"
    assert "guest is busy" in result(node)["error"]
    assert live(node).status == "running"


def test_a_start_that_qemu_refuses_keeps_the_state(node: FakeNode, pf: FakePf) -> None:
    """The claim was running already, yet nothing was executed."""
    jump(node)
    node.scripts["web1"].cont = "refused"
    assert resume.resume(node.live) == "failed"
    assert (claim(node).state, node.live_vm("web1")) == ("failed", None)
    assert Path(node.live.folder.state("web1")).exists()


def test_a_start_that_is_refused_later_is_no_proof(node: FakeNode, pf: FakePf) -> None:
    """The guest may have run, and stopped at an I/O error, since."""
    jump(node)
    assert resume.resume(node.live) == "done"
    live(node).status = "paused"
    node.scripts["web1"].cont = "refused"
    manifest = manifest_file.load(node.live.folder.path)
    assert manifest is not None
    with pytest.raises(QmpError):
        node.qemu.restore(manifest.vms[0], node.live.folder.state("web1"), {}, False, lambda: None)
    assert claim(node).state == "acknowledged"


@pytest.mark.parametrize("text", ["$HOME", "a$5b", "${x}", "$$", "100$"])
def test_dollars_of_a_command_line_stay(node: FakeNode, pf: FakePf, text: str) -> None:
    """systemd expands variables in the words of a unit."""
    qemu = live(node)
    qemu.argv += ["-fw_cfg", f"name=opt/a,string={text}"]
    node.put(f"/proc/{qemu.pid}/cmdline", "\0".join([*qemu.argv, ""]))
    jump(node)
    assert resume.resume(node.live) == "done"
    assert f"name=opt/a,string={text}" in live(node).argv


def test_before_run_is_called_once(node: FakeNode, pf: FakePf) -> None:
    manifest, state = saved(node)
    node.qemu.discard(manifest.vms[0])
    calls: list[str] = []
    node.qemu.restore(manifest.vms[0], str(state), {}, True, lambda: calls.append(live(node).status))
    node.qemu.restore(manifest.vms[0], str(state), {}, False, lambda: calls.append("again"))
    assert calls == ["paused"]


def test_a_save_that_failed_is_undone_and_aborts(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    node.scripts["web1"].quit = "lingers"
    assert save.run(node.live) in ("aborted", "failed")
    assert "to exit" in result(node)["error"]
