# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A driver that leaves VF addresses to devlink's ports.

sfc does so for the EF100.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import HostDocument, validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.vf_properties import read_vfs
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

PF = "0000:03:00.0"
MAC = "02:00:00:00:00:01"


@pytest.fixture
def pf(host: FakeHost) -> FakePf:
    pf = host.add(FakePf(PF, driver="sfc", netdev="eth0", devlink=True, by_port=True))
    host.setup(pf, 4)
    return pf


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def spec(**vf: object) -> HostDocument:
    return validate({"pfs": [{"pf": PF, "vfs": [{"ids": 1, **vf}]}]})


def test_address_by_port(host: FakeHost, pf: FakePf) -> None:
    assert converge(host.sysfs, host.run, spec(mac=MAC)).plan.changed
    assert pf.properties[1]["mac"] == MAC
    assert not converge(host.sysfs, host.run, spec(mac=MAC)).plan.changed


def test_address_of_vfs_just_enabled(host: FakeHost, pf: FakePf) -> None:
    """Addresses of VFs whose ports are not known before."""
    host.kernel._disable(pf)
    host.draw()
    document = validate(
        {"pfs": [{"pf": PF, "hardware_vfs": 4, "vfs": [{"ids": "all", "mac": "02:00:00:00:10:00+id"}]}]}
    )
    converge(host.sysfs, host.run, document)
    assert [pf.properties[i]["mac"] for i in range(4)] == [f"02:00:00:00:10:0{i}" for i in range(4)]


def test_a_port_that_forgets_is_reported(host: FakeHost, pf: FakePf) -> None:
    pf.ignores = frozenset({"mac"})
    with pytest.raises(ApplyError, match=f"wanted mac {MAC}, the driver reports mac 00:00:00:00:00:00"):
        converge(host.sysfs, host.run, spec(mac=MAC))


def test_nothing_else_goes_by_port(host: FakeHost, pf: FakePf) -> None:
    with pytest.raises(BadInputError, match="trust of VFs 1 cannot be set: sfc does not report it"):
        converge(host.sysfs, host.run, spec(trust=True))
    with pytest.raises(ApplyError, match="the kernel refused vlan 5: EOPNOTSUPP") as caught:
        converge(host.sysfs, host.run, spec(mac=MAC, vlan=5))
    assert "back in its previous state" in str(caught.value)
    assert pf.properties[1]["mac"] == "00:00:00:00:00:00"


def test_other_refusals_are_not_tried_by_port(host: FakeHost) -> None:
    pf = host.add(FakePf(PF, netdev="eth0", devlink=True, eswitch="switchdev", rejects={"mac": errno.EPERM}))
    host.setup(pf, 4)
    with pytest.raises(ApplyError, match="the kernel refused mac 00:00:00:00:00:00: EPERM"):
        converge(host.sysfs, host.run, spec(mac=MAC))


def test_host_without_devlink() -> None:
    def run(argv: Sequence[str]) -> str:
        if argv[0] == "devlink":
            raise ToolError(argv, 127, "cannot run it: No such file or directory")
        return '[{"ifname": "eth0", "link_type": "ether"}]'

    assert read_vfs(run, PF, "eth0", 4)[1] == {}


def test_devlink_is_not_asked_without_need(host: FakeHost) -> None:
    def run(argv: Sequence[str]) -> str:
        assert argv[0] == "ip"
        return host.run(argv)

    pf = host.igb(PF)
    assert read_vfs(run, PF, "eth0", 0)[1] == {}
    host.setup(pf, 1)
    assert read_vfs(run, PF, "eth0", 1)[1] == {
        0: VfProperties(
            "00:00:00:00:00:00",
            0,
            0,
            spoofchk=True,
            trust=False,
            link_state="auto",
            min_tx_rate=0,
            max_tx_rate=0,
            vlan_proto="802.1q",
        )
    }
