# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PF that cannot be read hides no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report import info, metrics, metrics_facts, status
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report import status_text as text
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.export import export
from tests.fake.linux.host import FakeHost

BAD, GOOD = "0000:03:00.0", "0000:04:00.0"
FOLDER = f"sys/bus/pci/devices/{BAD}"
FILES = ("sriov_numvfs", "sriov_totalvfs", "sriov_offset", "sriov_stride", "sriov_drivers_autoprobe", "numa_node")
EVERY = pytest.mark.parametrize("file", FILES)
DOCUMENT: dict[str, Any] = {"pfs": [{"pf": GOOD, "hardware_vfs": 2, "present_vfs": "all"}, {"pf": BAD}]}


def broken(folder: Path, file: str, content: str = "") -> FakeHost:
    host = FakeHost(folder, "stock")
    host.setup(host.igb(BAD), 2, [0, 1], "igbvf")
    host.nvme(GOOD)
    (host.root / FOLDER / file).write_text(content)
    return host


@EVERY
def test_the_others_are_shown(tmp_path: Path, file: str) -> None:
    host = broken(tmp_path, file)
    rows = {row["pf"]: row for row in info.gather(host.sysfs, host.run)}
    assert rows[GOOD]["total_vfs"] == 8
    assert f"{file} holds" in rows[BAD]["unreadable"]
    shown = status.read(host.sysfs, host.run, None, (validate(DOCUMENT), None), "full")
    lines = "\n".join(text.status_lines(shown))
    assert f"{BAD}  cannot be read: " in lines
    assert any(line.startswith(GOOD) for line in lines.splitlines())
    found = metrics_facts.collect(host.sysfs, host.run, validate(DOCUMENT), True)
    rendered = metrics.render(found)
    assert f'kvmfleet_sriov_vfs_supported{{pf="{GOOD}"}} 8' in rendered
    assert f'kvmfleet_sriov_drift_unknown{{pf="{BAD}"}} 1' in rendered
    assert any(file in note for note in found.notes)
    exported = export(list(rows.values()), untouched=True)
    assert [pf["pf"] for pf in exported.document.to_dict()["pfs"]] == [GOOD]
    assert f"PF {BAD} is left out, as it cannot be read: " in exported.notices[0]


@pytest.mark.parametrize("file", FILES[:-1])
def test_the_others_are_declared(tmp_path: Path, file: str) -> None:
    """By address and by selector; what is about this one fails."""
    host = broken(tmp_path, file)
    for name in (GOOD, {"driver": "nvme"}):
        converge(host.sysfs, host.run, validate({"pfs": [{"pf": name, "hardware_vfs": 2}]}))
    for bad in (BAD, "eth0", {"driver": "igb"}):
        with pytest.raises(SriovError, match=file):
            converge(host.sysfs, host.run, validate({"pfs": [{"pf": bad, "hardware_vfs": 2}]}))


def test_an_unreadable_vf_is_its_pfs_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = broken(tmp_path, "sriov_numvfs", "2\n")
    address = host.pfs[BAD].vfs[1].address
    path = host.root / f"sys/bus/pci/devices/{address}/driver_override"
    path.unlink()
    path.mkdir()
    rows = {row["pf"]: row for row in info.gather(host.sysfs, host.run)}
    assert rows[GOOD]["total_vfs"] == 8
    assert "driver_override: EISDIR" in rows[BAD]["unreadable"]
