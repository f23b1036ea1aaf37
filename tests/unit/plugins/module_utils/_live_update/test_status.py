# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Phases and result of a live update."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.status import Progress, new_result
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import durable, update_folder
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import Folder

PF = "0000:03:00.0"


def test_phases_follow_each_other_without_a_hole(tmp_path: Path) -> None:
    clock = iter([1.0, 2.0, 4.0, 8.0])
    progress = Progress(Folder(str(tmp_path)), "m1", "b1", new_result("m1", "h1", "old"), lambda: next(clock))
    progress.enter(update_folder.SAVING)
    progress.enter(update_folder.KEXEC)
    progress.update_vm("web1", result="saved")
    found = durable.read_json(str(tmp_path / "result.json")) or {}
    assert found["phases"] == [
        {"name": "saving", "start": 1.0, "end": 2.0},
        {"name": "kexec", "start": 2.0, "end": None},
    ]
    progress.finish(update_folder.DONE, "updated", vfs_enabled={PF: 7})
    found = Folder(str(tmp_path)).read_result() or {}
    assert found["phases"][1]["end"] == 4.0
    assert (found["result"], found["vfs_enabled"], found["vms"][0]["result"]) == ("updated", {PF: 7}, "saved")
    assert (Folder(str(tmp_path)).read_status() or {})["phase"] == "done"
