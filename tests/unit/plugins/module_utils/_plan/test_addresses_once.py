# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One address for two is refused, whichever way it comes about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import vf_request
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from tests.fake.linux.host import FakeHost

A, B = "0000:03:00.0", "0000:05:00.0"
BASE = {"hardware_vfs": 4, "present_vfs": "none"}


def vfs(*entries: dict[str, Any]) -> dict[str, Any]:
    return {**BASE, "vfs": list(entries)}


def both(folder: Path) -> FakeHost:
    host = FakeHost(folder)
    host.igb(A)
    host.igb(B, "eth1").mac = "52:54:00:00:00:09"
    host.draw()
    return host


MAC = "02:00:00:00:00:01"
# documents by PF, the two that would have the address
SHARED: list[tuple[dict[str, dict[str, Any]], str, str]] = [
    ({A: vfs({"ids": 0, "mac": MAC}, {"ids": 1, "mac": MAC})}, f"VF 0 of PF {A}", f"VF 1 of PF {A}"),
    (
        {A: vfs({"ids": "0-1", "mac": f"{MAC}+id"}, {"ids": 3, "mac": "02:00:00:00:00:02"})},
        f"VF 1 of PF {A}", f"VF 3 of PF {A}",
    ),
    (
        {A: vfs({"ids": "0-3", "mac": f"{MAC}+id"}), B: vfs({"ids": "0-3", "mac": "02:00:00:00:00:03+id"})},
        f"VF 2 of PF {A}", f"VF 0 of PF {B}",
    ),
    ({A: vfs({"ids": 2, "mac": "52:54:00:00:00:01"})}, f"PF {A} itself", f"VF 2 of PF {A}"),
    (
        {A: vfs({"ids": 2, "mac": "52:54:00:00:00:09"}), B: vfs({"ids": 0, "vlan": 5})},
        f"VF 2 of PF {A}", f"PF {B} itself",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("pfs", "one", "other"), SHARED)
@pytest.mark.parametrize("check", [True, False])
def test_it_names_both_and_writes_nothing(
    tmp_path: Path, pfs: dict[str, dict[str, Any]], one: str, other: str, check: bool
) -> None:
    host = both(tmp_path)
    before = host.picture()
    document = validate({"pfs": [{"pf": pf, **spec} for pf, spec in pfs.items()]})
    with pytest.raises(BadInputError) as caught:
        converge(host.sysfs, host.run, document, check=check)
    assert f"would be that of {one} and of {other}" in str(caught.value)
    assert (host.sysfs.writes, host.run.calls, host.picture()) == ([], [], before)


def test_an_address_that_is_set_and_not_declared_counts(tmp_path: Path) -> None:
    host = both(tmp_path)
    converge(host.sysfs, host.run, validate({"pfs": [{"pf": A, **vfs({"ids": 3, "mac": MAC})}]}))
    with pytest.raises(BadInputError, match=f"VF 1 of PF {A} and of VF 3 of PF {A}"):
        converge(host.sysfs, host.run, validate({"pfs": [{"pf": A, **vfs({"ids": 1, "mac": MAC})}]}))


def test_guids_are_addresses_too(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    pf = host.ipoib().address
    guid = {"node_guid": "00:11:22:33:44:55:66:77"}
    document = validate({"pfs": [{"pf": pf, **vfs({"ids": 0, **guid}, {"ids": 1, **guid})}]})
    with pytest.raises(BadInputError, match="node_guid 00:11:22:33:44:55:66:77 would be that of VF 0"):
        converge(host.sysfs, host.run, document)


def test_zeros_hashes_and_swaps_are_no_clash(tmp_path: Path) -> None:
    host = both(tmp_path)
    other = "02:00:00:00:00:02"
    for macs in ((MAC, other), (other, MAC), ("00:00:00:00:00:00",) * 2, ("hash",) * 2):
        spec = vfs(*({"ids": vf_id, "mac": mac} for vf_id, mac in enumerate(macs)))
        assert converge(host.sysfs, host.run, validate({"pfs": [{"pf": A, **spec}]})).plan.changed


def test_what_a_reading_has_twice_is_left_alone(tmp_path: Path) -> None:
    """Nothing that is declared has the address."""
    host = both(tmp_path)
    host.setup(host.pfs[A], 4)
    host.pfs[A].properties[0]["mac"] = host.pfs[A].properties[1]["mac"] = MAC
    host.draw()
    assert converge(host.sysfs, host.run, validate({"pfs": [{"pf": A, **vfs({"ids": 2, "vlan": 7})}]})).plan.changed


# who of a PF that the document does not declare has the address
HELD = [(f"VF 1 of PF {B}", MAC), (f"PF {B} itself", "52:54:00:00:00:09")]


@pytest.mark.parametrize(("holder", "mac"), HELD)
@pytest.mark.parametrize("check", [True, False])
def test_pfs_that_are_not_declared_count(tmp_path: Path, holder: str, mac: str, check: bool) -> None:
    host = both(tmp_path)
    host.setup(host.pfs[B], 2)
    host.pfs[B].properties[1]["mac"] = MAC
    host.draw()
    before = host.picture()
    spec = validate({"pfs": [{"pf": A, **vfs({"ids": 3, "mac": mac})}]})
    with pytest.raises(BadInputError, match=f"mac {mac} would be that of VF 3 of PF {A} and is that of {holder}"):
        converge(host.sysfs, host.run, spec, check=check)
    assert host.picture() == before
    host.setup(host.pfs[A], 2)
    one = vf_request.validate({"pf": A, "ids": [0], "mac": mac})
    with pytest.raises(BadInputError, match=f"and is that of {holder}"):
        converge(host.sysfs, host.run, one, check=check)


def test_other_pfs_do_not_matter_to_what_is_set_already(tmp_path: Path) -> None:
    """Nor to a run that sets no address, nor to zeros."""
    host = both(tmp_path)
    for address in (A, B):
        host.setup(host.pfs[address], 2)
        host.pfs[address].properties[1]["mac"] = MAC
    host.draw()
    for entry in ({"ids": 1, "mac": MAC, "vlan": 7}, {"ids": 0, "vlan": 8}, {"ids": 0, "mac": "00:00:00:00:00:00"}):
        spec = {"hardware_vfs": 2, "vfs": [{**entry, "trust": True}]}
        converge(host.sysfs, host.run, validate({"pfs": [{"pf": A, **spec}]}))
