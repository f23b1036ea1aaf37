# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's promises on processes, sockets and VFs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.manifest import Manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import arm, claim, jump, live, result


def saved(node: FakeNode) -> tuple[Manifest, Path]:
    """The VM, saved by itself; its manifest and its state."""
    manifest = arm(node)
    state = node.host.root / "state"
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


def test_before_run_is_called_once(node: FakeNode, pf: FakePf) -> None:
    manifest, state = saved(node)
    node.qemu.discard(manifest.vms[0])
    calls: list[str] = []
    node.qemu.restore(manifest.vms[0], str(state), True, lambda: calls.append(live(node).status))
    node.qemu.restore(manifest.vms[0], str(state), False, lambda: calls.append("again"))
    assert calls == ["paused"]


def test_a_save_that_failed_is_undone_and_aborts(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    node.scripts["web1"].quit = "lingers"
    assert save.run(node.live) in ("aborted", "failed")
    assert "to exit" in result(node)["error"]
