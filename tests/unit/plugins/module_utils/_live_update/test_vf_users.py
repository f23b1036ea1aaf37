# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs of saved VMs that others use, or have changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, way_out
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import PROPERTIES, claim, jump, live, result

from .test_restore_by_hand import saved_and_ended

OTHERS = 777
"""VLAN that somebody else has given to the VF meanwhile."""
Begin = Callable[[FakeNode], object]


@pytest.fixture
def pair(node: FakeNode, pf: FakePf) -> FakeNode:
    """A node with VMs web1 and web2, of one disk each."""
    for qemu in node.qemus:
        qemu.end()
    node.images = {"web1": ("/vm/web1.img",), "web2": ("/vm/web2.img",)}
    node.vm("web1", pf, 6, **PROPERTIES)
    node.vm("web2", pf, 2)
    return node


def failed_there(node: FakeNode) -> None:
    """The restore of web1 fails on the new kernel."""
    jump(node)
    node.scripts["web1"].start = "exits"
    assert resume.resume(node.live) == "failed"
    node.scripts["web1"].start = "ok"


def failed_here(node: FakeNode) -> None:
    """The restore of web1 fails on the kernel that saved it."""
    saved_and_ended(node)
    node.scripts["web1"].start = "exits"
    assert way_out.restore(node.live, []) == "failed"
    node.scripts["web1"].start = "ok"


def restored(node: FakeNode) -> object:
    return way_out.restore(node.live, ["web1"])


def come_back(node: FakeNode) -> object:
    return way_out.come_back(node.live)


@pytest.mark.parametrize(
    ("begin", "act"), [(failed_there, restored), (failed_there, come_back), (failed_here, restored)]
)
def test_a_vf_that_somebody_else_uses_stays_as_it_is(
    pair: FakeNode, pf: FakePf, begin: Begin, act: Callable[[FakeNode], object]
) -> None:
    """Its user would be in the VLAN of the saved VM."""
    begin(pair)
    pf.properties[6]["vlan"] = OTHERS
    pf.vfs.setdefault(6, pf.vfs[2].__class__(pf.vf_address(6), 99)).driver = "vfio-pci"
    pair.host.draw()
    pair.host.hold(pf, 6, name="other")
    act(pair)
    assert pf.properties[6]["vlan"] == OTHERS
    assert claim(pair).state == "failed"
    assert Path(pair.live.folder.state("web1")).exists()
    assert "VF 6 of PF 0000:03:00.0 by VM other, process 4711" in str(result(pair)["vms"][0]["error"])
    assert live(pair, "web2").status == "running"


@pytest.mark.parametrize("begin", [failed_there, failed_here])
def test_a_vm_comes_back_with_its_own_properties(pair: FakeNode, pf: FakePf, begin: Begin) -> None:
    """Not with those that somebody has given to its VF meanwhile."""
    begin(pair)
    pf.properties[6].update({"vlan": OTHERS, "mac": "02:00:00:00:00:99"})
    way_out.restore(pair.live, ["web1"])
    assert live(pair).status == "running"
    (name, _address, given) = pair.plugged[-1]
    assert name == "web1"
    assert {key: given[key] for key in PROPERTIES} == PROPERTIES


def test_a_vm_that_runs_keeps_what_was_declared_since(pair: FakeNode, pf: FakePf) -> None:
    failed_here(pair)
    pf.properties[2]["vlan"] = OTHERS
    way_out.restore(pair.live, [])
    assert pf.properties[2]["vlan"] == OTHERS
    assert live(pair).status == "running"
