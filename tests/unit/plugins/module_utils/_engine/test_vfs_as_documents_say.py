# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs without a driver, and names of VFs' interfaces.

The same on all kernel interfaces is in tests/conformance/engine/cases_documents.py.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import Report, converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

PF = "0000:03:00.0"
UNBOUND: dict[str, Any] = {"vfs": [{"ids": "0-1", "driver": "unbound"}]}


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.drivers.add("vfio-pci")
    host.igb(PF)
    return host


@pytest.fixture
def pf(host: FakeHost) -> FakePf:
    return host.pfs[PF]


def declare(host: FakeHost, allow_disruptive: bool = False, **spec: Any) -> Report:  # noqa: ANN401 - values of a document
    document = validate({"pfs": [{"pf": PF, **spec}]})
    report = converge(host.sysfs, host.run, document, allow_disruptive=allow_disruptive)
    again = converge(host.sysfs, host.run, document, check=True, allow_disruptive=allow_disruptive)
    assert not again.plan.steps
    return report


def drivers(pf: FakePf) -> dict[int, tuple[str | None, str | None]]:
    return {vf_id: (vf.driver, vf.override) for vf_id, vf in sorted(pf.vfs.items())}


def test_none_binds_while_drivers_are_probed(host: FakeHost, pf: FakePf) -> None:
    """Neither now, nor a driver that is loaded later."""
    declare(host, hardware_vfs=3, present_vfs="all", **UNBOUND)
    wanted = {0: (None, "none"), 1: (None, "none"), 2: ("igbvf", None)}
    assert drivers(pf) == wanted
    for vf_id in range(3):
        host.kernel.probe(pf, vf_id)
    assert drivers(pf) == wanted


def test_bound_ones_are_unbound_and_held_ones_refused(host: FakeHost, pf: FakePf) -> None:
    host.setup(pf, 2, [0, 1], "igbvf")
    pf.vfs[1].driver = pf.vfs[1].override = "vfio-pci"
    host.draw()
    host.hold(pf, 1)
    with pytest.raises(RefusedError, match=r"VF 1 of PF 0000:03:00.0 by VM web1"):
        declare(host, **UNBOUND)
    host.end_holders(pf)
    declare(host, **UNBOUND)
    assert drivers(pf) == {0: (None, "none"), 1: (None, "none")}


def test_one_that_a_driver_has_taken_is_seen(host: FakeHost, pf: FakePf) -> None:
    """Whatever its override says now."""
    declare(host, hardware_vfs=2, present_vfs="all", **UNBOUND)
    pf.vfs[0].driver = "igbvf"
    host.draw()
    assert declare(host, **UNBOUND).plan.changed
    assert drivers(pf)[0] == (None, "none")


def test_managers_of_vms_may_bind_where_no_drivers_are_probed(host: FakeHost, pf: FakePf) -> None:
    declare(host, hardware_vfs=2, present_vfs="all", drivers_autoprobe=False, **UNBOUND)
    assert drivers(pf) == {0: (None, None), 1: (None, None)}


def test_they_stay_so_when_all_vfs_are_disabled(host: FakeHost, pf: FakePf) -> None:
    """Though nothing is declared of them."""
    declare(host, hardware_vfs=2, present_vfs="all", vfs=[{"ids": 1, "driver": "unbound"}])
    declare(host, allow_disruptive=True, hardware_vfs=3)
    assert drivers(pf) == {0: ("igbvf", None), 1: (None, "none"), 2: ("igbvf", None)}


def named(pf: FakePf) -> list[list[str]]:
    return [vf.interface_names(pf) for _id, vf in sorted(pf.vfs.items())]


NAMES: dict[str, Any] = {"vfs": [{"ids": 0, "name": "web"}, {"ids": "1-2", "name": "db+id", "mtu": 1400}]}
ALL: dict[str, Any] = {"hardware_vfs": 3, "present_vfs": "all"}


def test_names_come_with_drivers_and_again(host: FakeHost, pf: FakePf) -> None:
    declare(host, **ALL, **NAMES)
    assert named(pf) == [["web"], ["db1"], ["db2"]]
    declare(host, hardware_vfs=0, present_vfs="none")
    declare(host, **ALL, **NAMES)
    assert named(pf) == [["web"], ["db1"], ["db2"]]
    declare(host, vfs=[{"ids": 0, "name": "app"}])
    assert named(pf) == [["app"], ["db1"], ["db2"]]


def test_a_failure_gives_names_back(host: FakeHost, pf: FakePf) -> None:
    declare(host, **ALL, **NAMES)
    host.faults = {host.actions + 2: errno.EIO}
    with pytest.raises(ApplyError, match="the PF is back in its previous state"):
        declare(host, vfs=[{"ids": 0, "name": "app"}, {"ids": 1, "name": "x"}])
    assert named(pf) == [["web"], ["db1"], ["db2"]]


# entries of vfs, words
WRONG: list[tuple[list[dict[str, Any]], str]] = [
    ([{"ids": 0, "name": "a"}, {"ids": 1, "name": "a"}], "name a would be that of VF 0 of PF 0000:03:00.0 and of VF 1"),
    ([{"ids": 0, "name": "eth0"}], "name eth0 would be that of PF 0000:03:00.0 itself and of VF 0"),
    ([{"ids": "0-1", "name": "a"}], "name: a cannot be given to several VFs; give one id beside it, or 'a\\+id'"),
    ([{"ids": 10, "name": "fourteen-bytes+id"}], "is fourteen-bytes10 for one VF, longer than 15 bytes"),
    ([{"ids": "0-2", "name": "a" * 16}], "is no name of a network interface"),
    ([{"ids": 0, "name": "a/b"}], "is no name of a network interface"),
    ([{"ids": 0, "name": "a%d"}], "is no name of a network interface"),
    ([{"ids": 0, "name": 7}], "name: 7 is no name of a network interface"),
    ([{"ids": 0, "driver": "unbound", "name": "a"}], "name of VF 0 cannot be set: .* it is to have no driver"),
    ([{"ids": 0, "driver": "vfio-pci", "name": "a"}], "name of VF 0 cannot be set: it has no network interface here"),
]


@pytest.mark.parametrize(("vfs", "words"), WRONG)
def test_names_that_cannot_be(host: FakeHost, vfs: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        declare(host, **ALL, vfs=vfs)
    assert host.sysfs.writes == []


def test_a_name_for_the_vfs_of_several_pfs_is_refused() -> None:
    with pytest.raises(BadInputError, match="name a\\+id cannot be given to VFs of several PFs"):
        validate({"pfs": [{"pf": {"driver": "igb", "all": True}, "vfs": [{"ids": 0, "name": "a+id"}]}]})
