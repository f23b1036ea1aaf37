# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live updates of a domain of a real libvirtd, from arming to the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fake.vm.update import result
from tests.libvirt import node as _node
from tests.libvirt.fixtures import NEEDS_LIBVIRT
from tests.libvirt.host import Host
from tests.libvirt.node import LibvirtNode

pytestmark = [*NEEDS_LIBVIRT]
Node = Callable[[str], LibvirtNode]


@pytest.fixture
def updated(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """Makes a node with one domain, which ends with the test."""
    _node.switch_on(monkeypatch)
    made: list[LibvirtNode] = []

    def one(name: str) -> LibvirtNode:
        made.append(LibvirtNode(host, tmp_path / "node", name))
        return made[-1]

    (tmp_path / "node").mkdir()
    yield one
    for node in made:
        node.end()


def test_a_domain_comes_back_after_the_jump(updated: Node) -> None:
    node = updated("update")
    manifest = node.arm()
    assert [(vm.name, vm.backend, len(vm.vfs)) for vm in manifest.vms] == [("update", "libvirt", 1)]
    node.jump()
    assert node.guest.state() == "shut off"
    assert node.resume() == "done"
    node.require_well()
    assert result(node.fake)["vms"][0]["result"] == "restored"
