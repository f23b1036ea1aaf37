# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arming: nothing wrong is loaded or written, and it can be undone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import manifest_file, status, vm_choices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import update_paths
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    KernelError,
    RefusedError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import update_folder
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.state_file import NO_FILE
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import arm, request


def test_arming_again_changes_nothing(node: FakeNode, pf: FakePf) -> None:
    manifest = arm(node)
    facts, _verdict = _live_arm.examine(node.live, request())
    again = _live_arm.plan(node.live, request(), facts)
    assert again.id != manifest.id
    assert _live_arm.armed(node.live, again) == manifest
    other = _live_arm.plan(node.live, request(budget_s=7.0), facts)
    assert _live_arm.armed(node.live, other) is None


def test_arming_again_loads_a_kernel_that_is_gone(node: FakeNode, pf: FakePf) -> None:
    """A kernel that was unloaded, or replaced by one that panicked."""
    manifest = arm(node)
    node.live.kexec.unload()
    assert _live_arm.armed(node.live, manifest) is None


def test_a_kernel_that_cannot_be_loaded_leaves_nothing_armed(node: FakeNode, pf: FakePf) -> None:
    object.__setattr__(node.live.kexec, "syscall", lambda *_arguments: 8)
    with pytest.raises(KernelError, match="ENOEXEC"):
        arm(node)
    assert manifest_file.load(node.live.folder.path) is None
    assert node.live.folder.read_status() is None


def test_cancel_unloads_and_forgets(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    assert _live_arm.cancel(node.live)
    assert not node.live.kexec.loaded()
    assert manifest_file.load(node.live.folder.path) is None
    assert not _live_arm.cancel(node.live)


@pytest.mark.parametrize("phase", [update_folder.SAVING, update_folder.RESTORING, update_folder.FAILED])
def test_only_what_has_not_begun_is_cancelled(node: FakeNode, pf: FakePf, phase: str) -> None:
    """The manifest stays once an update has begun; it restores VMs."""
    manifest = arm(node)
    status.write_status(node.live.folder, manifest.id, phase, manifest.boot_id, 1.0)
    with pytest.raises(RefusedError, match=f"in phase {phase}: only an armed one can be cancelled"):
        _live_arm.cancel(node.live)
    assert node.live.kexec.loaded()
    assert manifest_file.load(node.live.folder.path) == manifest


def test_nothing_is_armed_without_a_unit_that_resumes(node: FakeNode, pf: FakePf) -> None:
    (node.host.root / update_paths.RESUME_ENABLED.lstrip("/")).unlink()
    _facts, verdict = _live_arm.examine(node.live, request())
    assert [item.code for item in verdict.refusals] == ["not-installed"]


def test_annotation_of_an_unknown_vm_is_an_error(node: FakeNode, pf: FakePf) -> None:
    with pytest.raises(BadInputError, match="no VM named 'wbe1' runs here; running: web1"):
        _live_arm.examine(node.live, request(vms=vm_choices.by_name([{"name": "wbe1"}])))


def test_cancelling_looks_before_it_undoes(node: FakeNode, pf: FakePf) -> None:
    """A state that somebody needs is not deleted, whoever left it."""
    arm(node)
    node.live.folder.make_vm("old")
    _claim.store(node.live.folder.vm("old"), _claim.Claim("m", "old", "saved", "b", "u", 1.0, NO_FILE, 0.5, 0.7))
    with pytest.raises(RefusedError, match="saved states of old would be lost"):
        _live_arm.cancel(node.live)
    assert node.live.kexec.loaded()
    assert manifest_file.load(node.live.folder.path) is not None


@pytest.mark.parametrize("more", [{}, {"cold_start": False}])
def test_a_cold_start_is_a_policy_only_where_it_is_allowed(more: dict[str, object]) -> None:
    item = {"name": "web1", "on_other_kernel": "cold-start", **more}
    with pytest.raises(BadInputError, match=r"vms\[0\]\.on_other_kernel: .* say cold_start: true too"):
        vm_choices.by_name([item])
    assert vm_choices.by_name([{**item, "cold_start": True}])
    with pytest.raises(BadInputError, match=r"vms\[0\]\.on_other_kernel: 'x' is none of restore, cold-start, leave"):
        vm_choices.by_name([{**item, "on_other_kernel": "x"}])


def test_manifest_on_disk_is_private_and_round_trips(node: FakeNode, pf: FakePf) -> None:
    manifest = arm(node)
    file = Path(manifest_file.path(node.live.folder.path))
    assert file.stat().st_mode & 0o777 == 0o600
    assert Path(node.live.folder.path).stat().st_mode & 0o777 == 0o700
    assert manifest_file.load(node.live.folder.path) == manifest
    file.chmod(0o644)
    with pytest.raises(BadInputError, match="mode 644"):
        manifest_file.load(node.live.folder.path)
    assert json.loads(file.read_text())["vms"][0]["vfs"][0]["properties"]["vlan"] == 100
