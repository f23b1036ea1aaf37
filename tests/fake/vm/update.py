# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A live update of a fake node, step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.manifest import Manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm
from tests.fake.vm.node import NEW, FakeNode, Rebooted
from tests.fake.vm.qemu import FakeQemu

PROPERTIES = {"mac": "02:00:00:00:00:06", "vlan": 100, "spoofchk": False}
OPTIONS = Options(boot_s=1.0, fill_chunk=2, fill_pause_s=0.001, drivers_s=0.5)


class Killed(BaseException):
    """The end of a process between two system calls."""


@contextlib.contextmanager
def killed(node: FakeNode, step: str, name: str = "") -> Iterator[None]:
    """The run dies in this step of its backend; its recovery, too."""
    real = getattr(type(node.qemu), step)

    def dies(backend: object, vm: ManifestVm, *arguments: object) -> object:
        if name in ("", vm.name):
            raise Killed
        return real(backend, vm, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(node.qemu), step, dies)
        yield


def request(**changes: object) -> _live_arm.Request:
    return replace(_live_arm.Request(host="h1", release=NEW, options=OPTIONS), **changes)  # type: ignore[arg-type]  # fields of several types


def arm(node: FakeNode, **changes: object) -> Manifest:
    facts, verdict = _live_arm.examine(node.live, request(**changes))
    assert [str(item) for item in verdict.refusals] == []
    manifest = _live_arm.plan(node.live, request(**changes), facts)
    _live_arm.arm(node.live, manifest, request(**changes))
    return manifest


def jump(node: FakeNode) -> None:
    """Arm, save and kexec."""
    arm(node)
    with pytest.raises(Rebooted):
        save.run(node.live)


def updated(node: FakeNode) -> None:
    """Update the node from arming to resume."""
    jump(node)
    assert resume.resume(node.live) == "done"


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
