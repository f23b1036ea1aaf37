# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VF keeps its arguments over any number of updates."""

from __future__ import annotations

import pytest

from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import live, updated

GIVEN = {
    "bootindex": ("2", 2), "failover_pair_id": ("net0", "net0"), "rombar": ("0", 0), "romfile": ("/a,,b", "/a,b"),
    "acpi-index": ("7", 7), "x-no-mmap": ("on", True), "x-req": ("off", False), "display": ("auto", "auto"),
    "x-msix-relocation": ("bar2", "bar2"), "iommufd": ("iommufd0", "iommufd0"), "multifunction": ("on", True),
    "x-max-bounce-buffer-size": ("8192", 8192), "x-nv-gpudirect-clique": ("3", 3),
    "vf-token": ("6b7cbb73-54a9-4a3c-9f5b-6a5c2f0c3c5e", "6b7cbb73-54a9-4a3c-9f5b-6a5c2f0c3c5e"),
}  # fmt: skip
"""Properties as on a command line, and as device_add takes them."""


def started_with(node: FakeNode, option: str) -> None:
    """The VM as if its command line had had this."""
    qemu = live(node)
    at = next(number for number, word in enumerate(qemu.argv) if word.startswith("vfio-pci,"))
    qemu.argv[at] = option
    node.put(f"/proc/{qemu.pid}/cmdline", "\0".join([*qemu.argv, ""]))


def test_arguments_stay_over_three_updates(node: FakeNode, pf: FakePf) -> None:
    address = pf.vfs[6].address
    words = ",".join(f"{name}={text}" for name, (text, _value) in GIVEN.items())
    started_with(node, f"vfio-pci,host={address},bus=rp1,addr=0x0,{words},id=vf0")
    for _update in range(3):
        updated(node)
        (device,) = live(node).devices.values()
        place = {"driver": "vfio-pci", "host": address, "bus": "rp1", "addr": "00.0", "id": "vf0"}
        assert device == {name: value for name, (_text, value) in GIVEN.items()} | place
        node.live.folder.forget()


@pytest.mark.parametrize(
    "option", ["vfio-pci,host={},bus=rp1,id=vf0", '{{"driver":"vfio-pci","host":"{}","id":"vf0"}}']
)
def test_what_nobody_gave_is_not_given_later(node: FakeNode, pf: FakePf, option: str) -> None:
    address = pf.vfs[6].address
    started_with(node, option.format(address))
    for _update in range(2):
        updated(node)
        (device,) = live(node).devices.values()
        assert device == {"driver": "vfio-pci", "host": address, "bus": "rp1", "addr": "00.0", "id": "vf0"}
        node.live.folder.forget()


def test_a_vf_that_somebody_plugged(node: FakeNode, pf: FakePf) -> None:
    """Another device had its id when QEMU was started."""
    address = pf.vfs[6].address
    started_with(node, f"vfio-pci,host={address},bus=rp1,bootindex=1,id=vf0")
    live(node).devices["vf0"] = {"id": "vf0", "host": address, "bus": "rp1", "rombar": 0}
    live(node).plugged_later.add("vf0")
    updated(node)
    (device,) = live(node).devices.values()
    assert (device.get("bootindex"), device["rombar"]) == (None, 0)
