# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that are no PF: what they are instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.info import gather
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost

PF, NIC = "0000:03:00.0", "0000:09:00.0"
NET = "sys/class/net"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """A PF with a VF, and interfaces that are no PF."""
    host = FakeHost(tmp_path)
    pf = host.igb(PF, "ens1f0np0")
    host.setup(pf, 1, [0], "igbvf")
    vf = pf.vfs[0].address
    users.put(host, f"sys/bus/pci/devices/{NIC}/vendor", "0x8086")
    users.put(host, f"{NET}/bond0/bonding/slaves", "eth1 eth2\n")
    users.put(host, f"{NET}/br0/bridge/bridge_id")
    users.put(host, f"{NET}/eth1.7/mtu")
    for name, device in (("eno1", f"0000:00:1c.0/{NIC}"), ("vf0", f"0000:00:01.0/{vf}"), ("usb0", "usb1/1-1")):
        (host.root / NET / name).mkdir(parents=True)
        (host.root / NET / name / "device").symlink_to(f"../../../devices/pci0000:00/{device}")
    return host


# name, what it is said to be
NAMES = [
    ("eno1", f"'eno1' is PCI device {NIC}, without SR-IOV: switch that on in the firmware"),
    (NIC, f"'{NIC}' is PCI device {NIC}, without SR-IOV"),
    (NIC[5:], f"is PCI device {NIC}, without SR-IOV"),
    ("bond0", "'bond0' is a bond of eth1, eth2: name its ports"),
    ("br0", "'br0' is a bridge: name the interfaces in it"),
    ("eth1.7", "'eth1.7' is an interface of no device, such as a VLAN"),
    ("usb0", "'usb0' is no interface of a PCI device"),
    ("vf0", f"'vf0' is a VF of PF {PF}: name that"),
    ("ens1f0", "did you mean 'ens1f0np0'?"),
    ("ens1f0np1", "did you mean 'ens1f0np0'?"),
    ("0000:aa:00.0", "'0000:aa:00.0' is no PCI device of this host"),
]


@pytest.mark.parametrize(("name", "words"), NAMES)
def test_a_name_that_is_no_pf(host: FakeHost, name: str, words: str) -> None:
    for act in (
        lambda: converge(host.sysfs, host.run, validate({"pfs": [{"pf": name, "hardware_vfs": 1}]})),
        lambda: gather(host.sysfs, host.run, [name]),
    ):
        with pytest.raises(BadInputError) as caught:
            act()
        assert f"PF '{name}' is not on this host; PFs of this host: {PF} (ens1f0np0); " in str(caught.value)
        assert words in str(caught.value)


def test_a_vf_by_its_address(host: FakeHost) -> None:
    vf = host.pfs[PF].vfs[0].address
    with pytest.raises(BadInputError, match=f"'{vf}' is a VF of PF {PF}: name that"):
        converge(host.sysfs, host.run, validate({"pfs": [{"pf": vf, "hardware_vfs": 1}]}))


def test_nothing_is_known_of_a_name(host: FakeHost) -> None:
    with pytest.raises(BadInputError) as caught:
        gather(host.sysfs, host.run, ["zzz"])
    assert str(caught.value) == f"PF 'zzz' is not on this host; PFs of this host: {PF} (ens1f0np0)"
