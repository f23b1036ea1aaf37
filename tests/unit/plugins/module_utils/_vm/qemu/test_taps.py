# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taps of a restored VM are in their bridges as they were."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.taps import Tap
from tests.fake.linux.pf import FakePf
from tests.fake.vm.bridges import Port
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import claim, jump, live, request, result

TAGGED = {1: [], 20: ["PVID", "Egress Untagged"], 30: [], 31: []}


def start(node: FakeNode, *backends: str) -> list[Port]:
    """The VM with these network backends; their ports."""
    qemu = live(node)
    for text in backends:
        qemu.argv += ["-netdev", text]
    node.put(f"/proc/{qemu.pid}/cmdline", "\0".join([*qemu.argv, ""]))
    node.bridges.attach(qemu.pid, qemu.argv)
    for name in ("br0", "br1"):
        node.put(f"/sys/class/net/{name}/flags", "0x1003\n")
    return list(node.bridges.ports.values())


def update(node: FakeNode) -> str | None:
    jump(node)
    return resume.resume(node.live)


def ports(node: FakeNode, bridge: str) -> list[Port]:
    return [port for port in node.bridges.ports.values() if port.bridge == bridge]


def refusals(node: FakeNode) -> list[str]:
    return [str(item) for item in _live_arm.examine(node.live, request())[1].refusals]


@pytest.mark.parametrize("backend", ["bridge,id=n0,br=br1", "tap,id=n0,br=br1,ifname=v0"])
def test_vlans_and_isolation_stay_over_two_updates(node: FakeNode, pf: FakePf, backend: str) -> None:
    (port,) = start(node, backend)
    port.vlans = {vid: list(flags) for vid, flags in TAGGED.items()}
    port.port |= {"isolated": True, "learning": False, "flood": False, "hairpin": True, "cost": 7}
    for _update in range(2):
        assert update(node) == "done"
        (now,) = ports(node, "br1")
        assert now is not port
        assert now.vlans == TAGGED
        assert now.port == port.port | {"cost": now.port["cost"]}
        assert str(now.port["cost"]) == "7"
        now.port["cost"] = 7
        node.live.folder.forget()


def test_they_are_set_before_the_guest_runs(node: FakeNode, pf: FakePf) -> None:
    (port,) = start(node, "bridge,id=n0,br=br1")
    port.vlans = {20: ["PVID", "Egress Untagged"]}
    seen = []
    node.on_run = lambda words: seen.append(live(node).status) if words[:2] == ["bridge", "vlan"] else None
    assert update(node) == "done"
    assert seen == ["inmigrate", "inmigrate"]
    assert ports(node, "br1")[0].vlans == {20: ["PVID", "Egress Untagged"]}


def test_a_tap_that_is_not_there(node: FakeNode, pf: FakePf) -> None:
    start(node, "bridge,id=n0,br=br1")
    node.bridges.lost = True
    assert update(node) == "failed"
    assert "no tap interface in bridge br1 after the start of its QEMU" in result(node)["vms"][0]["error"]
    assert (claim(node).state, node.live_vm("web1")) == ("failed", None)


def test_what_nobody_set_is_not_touched(node: FakeNode, pf: FakePf) -> None:
    start(node, "bridge,id=n0,br=br1", "bridge,id=n1,br=br1", "bridge,id=n2,br=br0")
    assert update(node) == "done"
    assert not [call for call in node.calls if call[:2] == ["bridge", "vlan"] or call[:3] == ["bridge", "link", "set"]]


def test_taps_of_several_bridges_are_told_apart(node: FakeNode, pf: FakePf) -> None:
    first, _second = start(node, "bridge,id=n0,br=br1", "bridge,id=n1,br=br0")
    first.vlans = {20: []}
    assert update(node) == "done"
    assert (ports(node, "br1")[0].vlans, list(ports(node, "br0")[0].vlans)) == ({20: []}, [1])


def test_taps_that_could_be_mixed_up_are_refused(node: FakeNode, pf: FakePf) -> None:
    """One would get the VLAN of another."""
    first, _second = start(node, "bridge,id=n0,br=br1", "bridge,id=n1,br=br1")
    assert refusals(node) == []
    first.vlans = {20: []}
    (text,) = refusals(node)
    assert "its taps tap0, tap1 in bridge br1 differ, and have no names of their own" in text


@pytest.mark.parametrize("kind", ["htb", "clsact", "ingress"])
def test_traffic_control_is_refused(node: FakeNode, pf: FakePf, kind: str) -> None:
    (port,) = start(node, "bridge,id=n0,br=br1")
    port.qdiscs = [{"kind": "noqueue", "handle": "0:"}, {"kind": kind, "handle": "ffff:"}]
    (text,) = refusals(node)
    assert f"its tap tap0 has traffic control ({kind}), which does not come back" in text


@pytest.mark.parametrize("answer", ["nonsense", "{}", '[{"vlans": 3}]', "[1]"])
def test_what_cannot_be_read_is_refused(node: FakeNode, pf: FakePf, answer: str) -> None:
    start(node, "bridge,id=n0,br=br1")
    node.bridges.run = lambda words: answer  # type: ignore[method-assign]  # a tool of another version
    assert any("its tap interfaces cannot be examined" in text for text in refusals(node)) == (answer != "{}")


def test_taps_of_a_manifest() -> None:
    tap = {"name": "", "bridge": "br0", "mtu": "1500", "port": {"isolated": True}, "vlans": {"20": ["PVID"]}}
    assert Tap.parse([tap], "x")[0].vlans == {"20": ["PVID"]}
    wrongs: tuple[object, ...] = ({}, [1], [{**tap, "port": 1}], [{"name": ""}])
    for wrong in wrongs:
        with pytest.raises(BadInputError, match=r"x(\[0\])?: expected"):
            Tap.parse(wrong, "x")
