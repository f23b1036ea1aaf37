# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs that change VFs, by effects and configurations."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import Report, converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import DEVICES, LEFT
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report import status
from tests.fake.linux.host import FakeHost
from tests.fake.scenarios.faults import KILL_AFTER, Killed

PF = "0000:03:00.0"
NUMVFS = f"{DEVICES}/{PF}/sriov_numvfs"
FOUR: dict[str, Any] = {"pf": PF, "hardware_vfs": 4, "present_vfs": "all", "allow_disruptive": True}
CHANGED = "another program changes them as well"


@pytest.fixture(params=["vf-id", "stock"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path, request.param)
    host.igb(PF)
    return host


def declare(host: FakeHost, spec: dict[str, Any], check: bool = False) -> Report:
    return converge(host.sysfs, host.run, validate({"pfs": [spec]}), check=check)


def shown(host: FakeHost, spec: dict[str, Any]) -> list[str]:
    notes: list[str] = status.read(host.sysfs, host.run, None, (validate({"pfs": [spec]}), None), "summary")["notes"]
    return notes


def rebind(host: FakeHost) -> None:
    """Bind the PF's driver anew, which takes its VFs away."""
    link = Path(host.sysfs.real(f"{DEVICES}/{PF}/driver"))
    target = os.readlink(link)
    link.rename(link.with_name("before"))  # so that the new link has another number
    link.symlink_to(target)
    link.with_name("before").unlink()
    host.pfs[PF].enabled, host.pfs[PF].vfs, host.pfs[PF].properties = 0, {}, {}
    host.draw()


def test_what_somebody_else_has_done_is_told(host: FakeHost) -> None:
    """By plans, runs and `sriovctl status`, whoever it was and however."""
    assert declare(host, FOUR).plan.warnings == ()
    assert CHANGED not in " ".join(shown(host, FOUR))
    for value in ("0", "2"):
        host.sysfs.write(NUMVFS, value)
    words = f"PF {PF}: a run of this collection left 4 VFs enabled and 0-3 present at 2"
    assert words in " ".join(shown(host, FOUR))
    for check in (True, False):
        report = declare(host, FOUR, check)
        assert [words in one and CHANGED in one for one in report.plan.warnings] == [True]
        assert "now 2 are enabled and 0-1 present" in report.to_dict()["notes"][-1]
    assert CHANGED not in " ".join(shown(host, FOUR))
    assert declare(host, {**FOUR, "hardware_vfs": 0, "present_vfs": "none"}).plan.warnings == ()


def test_the_same_number_written_again(tmp_path: Path) -> None:
    """What adds every missing VF on kernels with the series."""
    host = FakeHost(tmp_path)
    host.igb(PF)
    one = {**FOUR, "present_vfs": "1"}
    declare(host, one)
    host.sysfs.write(NUMVFS, "4")
    assert ["left 4 VFs enabled and 1 present" in text for text in declare(host, one, check=True).plan.warnings] == [
        True
    ]


def test_what_is_nobodys_work(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers bound anew, failed and killed runs, damaged records."""
    declare(host, FOUR)
    rebind(host)
    assert declare(host, FOUR, check=True).plan.warnings == ()
    declare(host, FOUR)
    host.faults = {host.actions + 2: errno.EIO}
    monkeypatch.setattr("time.sleep", lambda _s: None)
    with pytest.raises(ApplyError):
        declare(host, {**FOUR, "hardware_vfs": 2})
    host.faults = {}
    assert declare(host, {**FOUR, "hardware_vfs": 2}, check=True).plan.warnings == ()
    declare(host, {**FOUR, "hardware_vfs": 0, "present_vfs": "none"})
    host.faults = {host.actions + 1: KILL_AFTER}
    with pytest.raises(Killed):
        declare(host, {**FOUR, "hardware_vfs": 2})
    host.faults, host.dead = {}, False
    assert host.pfs[PF].enabled == 2
    assert CHANGED not in " ".join(declare(host, FOUR, check=True).plan.warnings)
    declare(host, FOUR)
    for text in ("", "[]", "{", '{"enabled": 1}', '{"enabled": null, "present": 3, "time": "x", "binding": []}'):
        Path(host.sysfs.real(f"{LEFT}/{PF}")).write_text(text)
        assert declare(host, {**FOUR, "hardware_vfs": 2}, check=True).plan.warnings == ()


def test_configured_writers_are_named_when_declaring(host: FakeHost) -> None:
    path = host.root / "etc/netplan/50-vfs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("network: {ethernets: {eth0: {virtual-function-count: 2}}}\n")
    text = "netplan sets numbers of VFs as well, by /etc/netplan/50-vfs.yaml: keep one writer, and take the other away"
    for check in (True, False):
        assert declare(host, FOUR, check).plan.warnings == (text,)
    assert declare(host, FOUR).plan.warnings == ()
    assert declare(host, {"pf": PF, "drivers_autoprobe": False}).plan.warnings == ()
    assert text in shown(host, FOUR)
