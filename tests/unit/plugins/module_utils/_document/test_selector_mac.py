# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs by the MAC addresses of their interfaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.info import gather
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost

ONE, OTHER = "0000:03:00.0", "0000:04:00.0"
MACS = {ONE: "52:54:00:00:0a:01", OTHER: "52:54:00:00:0a:02"}


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    for index, (address, mac) in enumerate(MACS.items()):
        host.igb(address, f"eth{index}").mac = mac
    host.draw()
    return host


def declared(host: FakeHost, mac: str) -> list[str]:
    document = validate({"pfs": [{"pf": {"mac": mac}, "hardware_vfs": 1}]})
    converge(host.sysfs, host.run, document)
    return [pf.address for pf in host.pfs.values() if pf.enabled]


def test_one_pf(host: FakeHost) -> None:
    assert declared(host, "52:54:00:00:0A:02") == [OTHER]
    assert [pf["pf"] for pf in gather(host.sysfs, host.run) if pf["mac"] == MACS[OTHER]] == [OTHER]


def test_ports_of_a_bond_have_their_own(host: FakeHost) -> None:
    for address, mac in MACS.items():
        host.pfs[address].mac = "52:54:00:00:0b:00"
        host.draw()
        users.put(host, f"sys/bus/pci/devices/{address}/net/{host.pfs[address].netdev}/bonding_slave/perm_hwaddr", mac)
    assert declared(host, MACS[ONE]) == [ONE]
    with pytest.raises(BadInputError, match=r"PF \{mac: 52:54:00:00:0b:00\} is not on this host"):
        declared(host, "52:54:00:00:0b:00")


@pytest.mark.parametrize("mac", ["52:54:00", "02:00:00:00:00:00+id", "hash", 7, "01:00:5e:00:00:01"])
def test_what_is_no_address(mac: object) -> None:
    with pytest.raises(BadInputError, match=r"pfs\[0\]\.pf\.mac: "):
        validate({"pfs": [{"pf": {"mac": mac}}]})
