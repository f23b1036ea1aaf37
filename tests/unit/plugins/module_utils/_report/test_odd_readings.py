# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports of hosts with odd readings: each is left out by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan import without_host
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.export import export
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.info import gather
from tests.fake.linux.host import FakeHost
from tests.unit.plugins.module_utils._report.test_export import PF, exported, make

ODD = [
    ("vlan", 4095),
    ("qos", 9),
    ("mac", "01:00:5e:00:00:01"),
    ("mac", "zz"),
    ("mac", "0x:00:00:00:00:01"),
    ("mac", "hash"),
    ("mac", "02:00:00:00:00:00+id"),
    ("max_tx_rate", 2**32 - 1),
    ("max_tx_rate", -1),
]


@pytest.mark.parametrize(("name", "value"), ODD)
def test_one_odd_reading_ends_no_export(tmp_path: Path, name: str, value: object) -> None:
    host, pf = make(tmp_path)
    host.setup(pf, 3, [0])
    pf.properties[1].update({"vlan": 7, name: value})
    pf.properties[2].update(trust=True)
    host.draw()
    found = exported(host)
    assert f"PF {PF}: VFs 1 have {name} {value}, which cannot be declared; it is left out" in found.notices
    (one,) = found.document.to_dict()["pfs"]
    assert {"ids": "2", "trust": True} in one["vfs"]
    assert str(value) not in str(one)


# what is odd of a VF, as a fake host has it, and the words of the notice
ODD_VFS: list[tuple[dict[str, Any], str]] = [
    ({"driver": "{{ x }}"}, "VFs 0 are bound to {{ x }}, which is no name of a driver that can be declared"),
    ({"driver": "unbound"}, "VFs 0 are bound to unbound, which is no name of a driver that can be declared"),
    ({"mtu": 60}, "VFs 0 have mtu 60, which cannot be declared; it is left out"),
]


@pytest.mark.parametrize(("odd", "words"), ODD_VFS)
def test_an_odd_device_of_a_vf_ends_no_export(tmp_path: Path, odd: dict[str, Any], words: str) -> None:
    host, pf = make(tmp_path)
    host.setup(pf, 2, [0, 1], "igbvf")
    pf.properties[1].update(trust=True)
    pf.vfs[0].override = None
    for name, value in odd.items():
        setattr(pf.vfs[0], name, value)
    pf.vfs[0].override = odd.get("driver")
    pf.vf_driver = pf.vfs[0].driver
    host.draw()
    found = exported(host)
    assert any(words in notice for notice in found.notices), found.notices
    (one,) = found.document.to_dict()["pfs"]
    assert not set(map(str, odd.values())) & {str(vf.get(name)) for vf in one["vfs"] for name in odd}
    assert any(vf.get("trust") for vf in one["vfs"])


# what `ip` says of VF 1 beside a VLAN, and the words of the notice
SAID: list[tuple[dict[str, Any], str]] = [
    ({"trust": "maybe"}, "trust of VFs 1: 'maybe' is none of its values, so it counts as not reported"),
    ({"spoofchk": 1}, "spoofchk of VFs 1: 1 is none of its values"),
    ({"link_state": "3"}, "link_state of VFs 1: '3' is none of its values"),
    ({"rate": {"max_tx": 10, "min_tx": 20}}, "VFs 1 have min_tx_rate 20, which cannot be declared"),
    ({"vlan_list": [{"vlan": 7.5}]}, "properties of VFs: 'ip -json -details link show dev eth0' did not tell"),
    ({"rate": {"max_tx": True}}, "properties of VFs: 'ip -json -details link show dev eth0' did not tell"),
    ({"vf": -1}, "properties of VFs: 'ip -json -details link show dev eth0' did not tell"),
]


@pytest.mark.parametrize(("said", "words"), SAID)
def test_what_ip_says_oddly_is_left_out_by_name(tmp_path: Path, said: dict[str, Any], words: str) -> None:
    host, pf = make(tmp_path)
    host.setup(pf, 2, [0, 1], "igbvf")

    def run(argv: Sequence[str]) -> str:
        shown = json.loads(host.run(argv))
        for link in shown:
            link.get("vfinfo_list", [{}, {}])[1].update(said)
        return json.dumps(shown)

    found = export(gather(host.sysfs, run))
    assert any(words in notice for notice in found.notices), found.notices
    (one,) = found.document.to_dict()["pfs"]
    assert one["hardware_vfs"] == 2


def test_an_eswitch_in_a_mode_that_is_none_is_named(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "root", "vf-id", ("mlx5_core",))
    host.setup(host.mlx5(PF), 2, [0])
    host.pfs[PF].eswitch = "{{ x }}"
    host.draw()
    found = exported(host)
    assert any("its eswitch is in mode '{{ x }}'" in notice for notice in found.notices), found.notices
    assert "eswitch_mode" not in found.document.to_dict()["pfs"][0]


# files of a PF or a VF, relative to the PF's folder, and whether the PF can still be exported
FILES = [
    ("net/eth0/flags", "up", True),
    ("net/eth0/flags", "9" * 5000, True),
    ("net/eth0/mtu", "9" * 5000, True),
    ("net/eth0/speed", "9" * 5000, True),
    ("current_link_width", "9" * 5000, True),
    ("virtfn0/numa_node", "x", True),
    ("sriov_numvfs", "1", False),
    ("sriov_numvfs", "65536", False),
    ("sriov_numvfs", "4294967295", False),
    ("sriov_totalvfs", "9" * 5000, False),
]


@pytest.mark.parametrize(("name", "text", "readable"), FILES)
def test_an_odd_file_ends_no_export(tmp_path: Path, name: str, text: str, readable: bool) -> None:
    host, pf = make(tmp_path)
    pf.numa_node = 1
    host.setup(pf, 2, [0, 1], "igbvf")
    host.setup(host.nvme("0000:04:00.0"), 2)
    (host.root / f"sys/bus/pci/devices/{PF}" / name).write_text(f"{text}\n")
    found = exported(host)
    named = [one["pf"] for one in found.document.to_dict()["pfs"]]
    assert named == ([PF, "0000:04:00.0"] if readable else ["0000:04:00.0"])
    assert readable or any(f"PF {PF} is left out, as it cannot be read" in notice for notice in found.notices)
    assert max(map(len, found.notices), default=0) < 400


OTHER = "0000:05:00.0"
MAC = "02:00:00:00:00:01"
# VFs by PF that have one address, its kind, the two of them in words
TWICE = [
    ({PF: [1, 3]}, MAC, f"VFs 1,3 of PF {PF}", ("VF 1", "VF 3")),
    ({PF: [0, 1]}, MAC, f"VFs 0-1 of PF {PF}", ("VF 0", "VF 1")),
    ({PF: [2], OTHER: [0]}, MAC, f"VF 2 of PF {PF} and of VF 0 of PF {OTHER}", (f"VF 2 of PF {PF}", f"PF {OTHER}")),
    ({PF: [2]}, "52:54:00:00:00:09", f"PF {OTHER} itself and of VF 2 of PF {PF}", ()),
]


@pytest.mark.parametrize(("holders", "mac", "words", "both"), TWICE)
def test_one_address_for_two_is_named(
    tmp_path: Path, holders: dict[str, list[int]], mac: str, words: str, both: tuple[str, ...]
) -> None:
    """By the export, `sriovctl check`, and a plan on another host."""

    def two(name: str) -> FakeHost:
        host = FakeHost(tmp_path / name)
        host.igb(PF)
        host.igb(OTHER, "eth1").mac = "52:54:00:00:00:09"
        host.draw()
        return host

    host = two("old")
    for address, ids in holders.items():
        host.setup(host.pfs[address], 4)
        for vf_id in ids:
            host.pfs[address].properties[vf_id]["mac"] = mac
    host.draw()
    found = exported(host)
    assert [notice for notice in found.notices if "is that of" in notice] == [
        f"mac {mac} is that of {words}: no host takes a document with it; give all but one of them another, or none"
    ]
    fresh = two("new")
    before = fresh.picture()
    with pytest.raises(BadInputError, match=f"mac {mac} would be that of") as planned:
        converge(fresh.sysfs, fresh.run, found.document, check=True)
    assert fresh.picture() == before
    assert all(one in str(planned.value) for one in both)
    if both:
        with pytest.raises(BadInputError, match=f"mac {mac} would be that of") as checked:
            without_host.refuse(found.document)
        assert all(one in str(checked.value) for one in both)


def test_zeros_and_what_is_left_out_are_no_shared_addresses(tmp_path: Path) -> None:
    host, pf = make(tmp_path)
    host.setup(pf, 4)
    for vf_id in range(4):
        pf.properties[vf_id]["mac"] = "00:00:00:00:00:00"
    host.draw()
    assert exported(host).notices == ()


def test_many_vfs_with_one_address_are_one_notice(tmp_path: Path) -> None:
    host, pf = make(tmp_path)
    host.setup(pf, 7)
    for vf_id in range(7):
        pf.properties[vf_id]["mac"] = MAC
    host.draw()
    (notice,) = exported(host).notices
    assert f"is that of VFs 0-6 of PF {PF}: " in notice
