# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a driver would not undo is found before the first step."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import RefusedError
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf
from tests.fake.scenarios.faults import STATUS

PF = "0000:03:00.0"
MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
GUID = "02:00:00:00:00:00:00:10"


def host_with(folder: Path, driver: str = "igb", needs: bool = True, kind: str = "igb") -> tuple[FakeHost, FakePf]:
    host = FakeHost(folder / "root", drivers=("igb", "igbvf", "mlx5_core", driver))
    pf: FakePf = getattr(host, kind)(PF)
    pf.driver, pf.needs_addresses = driver, needs
    host.setup(pf, 4)
    return host, pf


def declare(host: FakeHost, spec: dict[str, Any], **words: bool) -> None:
    converge(host.sysfs, host.run, validate({"pfs": [{"pf": PF, **spec}]}), **words)


SPECS: list[tuple[str, dict[str, Any]]] = [
    ("igb", {"vfs": [{"ids": 0, "mac": MAC}]}),
    ("igb", {"vfs": [{"ids": "all", "mac": f"{MAC}+id", "vlan": 7}]}),
    ("ipoib", {"vfs": [{"ids": 1, "node_guid": GUID}]}),
    ("ipoib", {"vfs": [{"ids": 2, "port_guid": GUID}]}),
]


@pytest.mark.parametrize(("kind", "spec"), SPECS)
def test_what_the_driver_shows_when_it_is_tried(tmp_path: Path, kind: str, spec: dict[str, Any]) -> None:
    host, _pf = host_with(tmp_path, "igb" if kind == "igb" else "mlx5_core", kind=kind)
    before = host.picture()
    with pytest.raises(
        ApplyError,
        match=r"could not be taken back to none if a later step failed: .*EINVAL.*force.*in its previous state",
    ):
        declare(host, spec)
    assert (host.picture(), host.sysfs.writes) == (before, [])
    declare(host, spec, force=True)
    assert host.picture() != before


@pytest.mark.parametrize("driver", ["qede", "cxgb4", "liquidio", "bnx2x", "qlcnic", "rvu_nicpf"])
def test_what_is_known_is_refused_in_check_mode_too(tmp_path: Path, driver: str) -> None:
    host, _pf = host_with(tmp_path, driver)
    for check in (True, False):
        with pytest.raises(RefusedError, match=f"{driver} is known to refuse it"):
            declare(host, SPECS[0][1], check=check)
    assert host.actions == 0


@pytest.mark.parametrize("driver", ["i40e", "ice"])
def test_a_trial_that_would_reset_vfs_is_left_out(tmp_path: Path, driver: str) -> None:
    host, _pf = host_with(tmp_path, driver, needs=False)
    declare(host, SPECS[0][1])
    assert not [call for call in host.run.calls if "00:00:00:00:00:00" in call]


@pytest.mark.parametrize("spec", [{"hardware_vfs": 2, "allow_disruptive": True}, {"vfs": []}])
def test_no_way_back_is_needed(tmp_path: Path, spec: dict[str, Any]) -> None:
    """For VFs just enabled, and for another address."""
    host, pf = host_with(tmp_path)
    pf.properties[0]["mac"] = OTHER
    declare(host, {**spec, "vfs": [{"ids": 0, "mac": MAC}]})
    assert pf.properties[0]["mac"] == MAC


def test_a_failure_behind_the_trial_is_undone(tmp_path: Path) -> None:
    host, pf = host_with(tmp_path, needs=False)
    before = host.picture()
    pf.rejects = {**pf.rejects, "vlan": errno.EINVAL}
    with pytest.raises(ApplyError, match="the PF is back in its previous state"):
        declare(host, {"vfs": [{"ids": 0, "mac": MAC, "vlan": 3}]})
    assert host.picture() == before


def test_a_program_that_fails_by_itself_is_no_refusal_of_the_driver(tmp_path: Path) -> None:
    host, _pf = host_with(tmp_path, needs=False)
    before = host.picture()
    host.faults = {1: STATUS}
    with pytest.raises(ApplyError, match=r"ended with status.*in its previous state"):
        declare(host, SPECS[0][1])
    assert host.picture() == before
