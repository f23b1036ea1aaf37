# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit file of a VM's unit, which a boot would start."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import own_unit
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import arm, live, phase, request, result

UNIT = "kvmfleet-vm-web1.service"
FILES = (f"/etc/systemd/system/{UNIT}", f"/usr/local/lib/systemd/system/{UNIT}", f"/usr/lib/systemd/system/{UNIT}")


@pytest.fixture
def node(node: FakeNode) -> FakeNode:
    node.vm("web1", node.igb(), 6)
    return node


def refusals(node: FakeNode) -> list[str]:
    _facts, verdict = _live_arm.examine(node.live, request())
    return [str(item) for item in verdict.refusals]


@pytest.mark.parametrize("path", FILES)
def test_the_preflight_refuses_it(node: FakeNode, path: str) -> None:
    """systemd still shows the transient unit that runs."""
    assert refusals(node) == []
    node.put(path, "[Service]\nExecStart=qemu-system-x86_64\n")
    (found,) = refusals(node)
    assert f"its unit {UNIT} is defined in {path} and could start it a second time" in found


def test_a_link_that_leads_nowhere_counts(node: FakeNode) -> None:
    """An alias, or a mask: systemd-run makes no such unit either."""
    os.makedirs(node.host.root / "etc/systemd/system", exist_ok=True)
    os.symlink("/dev/null", node.host.root / FILES[0].lstrip("/"))
    assert len(refusals(node)) == 1


@pytest.mark.parametrize(
    ("unit", "file"),
    [("vm@web1.service", "vm@.service"), ("vm@a@b.service", "vm@.service"), ("vm.service", "vm.service")],
)
def test_templates_define_their_units(node: FakeNode, unit: str, file: str) -> None:
    node.put(f"/etc/systemd/system/{file}", "")
    assert own_unit.file_of(node.host.sysfs, unit) == f"/etc/systemd/system/{file}"
    assert own_unit.file_of(node.host.sysfs, "") is None
    assert own_unit.file_of(node.host.sysfs, "other.service") is None


@pytest.mark.parametrize("when", ["armed", "unplugged"])
def test_one_that_appears_later_ends_the_update(node: FakeNode, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The VM runs on, and its memory is not needed."""
    guest = (live(node).guest or {})["boot"]
    arm(node)

    def appears() -> None:
        node.put(FILES[0], "[Service]\n")

    if when == "armed":
        appears()
    else:
        _before(monkeypatch, node, "copy", appears)
    assert save.run(node.live) == "aborted"
    assert (phase(node), live(node).status, (live(node).guest or {})["boot"]) == ("aborted", "running", guest)
    assert f"defined in {FILES[0]} and could start it a second time" in str(result(node)["error"])
    assert "stop" not in live(node).commands


def test_none_is_no_reason(node: FakeNode) -> None:
    node.put("/etc/systemd/system/kvmfleet-vm-web10.service", "")
    arm(node)
    with pytest.raises(Rebooted):
        save.run(node.live)


def _before(monkeypatch: pytest.MonkeyPatch, node: FakeNode, step: str, act: Callable[[], None]) -> None:
    real = getattr(type(node.qemu), step)

    def first(*arguments: object) -> object:
        act()
        return real(*arguments)

    monkeypatch.setattr(type(node.qemu), step, first)
