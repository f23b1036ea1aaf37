# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dirty bitmaps over saves and restores, with a real QEMU."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import images
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import bitmaps
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from tests.fake.vm.real import NEEDS_QEMU_AND_IMAGES, Machine, running

pytestmark = [*NEEDS_QEMU_AND_IMAGES]
WRITE: dict[str, Any] = {"command-line": 'qemu-io d0 "write 1M 64k"'}


@pytest.fixture
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="kf") as folder:
        disk = Path(folder) / "d.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "16M"], check=True)
        subprocess.run(["qemu-img", "bitmap", "--add", str(disk), "daily"], check=True)
        words = ["-drive", f"file={disk},format=qcow2,if=none,id=d0", "-device", "ide-hd,drive=d0"]
        with running(*words) as one:
            yield one


def recorded(machine: Machine) -> dict[str, tuple[object, object, object]]:
    """What each bitmap has recorded, and whether it goes on."""
    with _qmp.connect(machine.qmp, 30.0) as qmp:
        nodes = qmp.execute("query-named-block-nodes")
    found = [one for node in nodes if node["drv"] == "qcow2" for one in node.get("dirty-bitmaps", [])]
    return {one["name"]: (one["count"], one["recording"], one.get("inconsistent", False)) for one in found}


def test_a_persistent_one_is_kept(machine: Machine) -> None:
    with _qmp.connect(machine.qmp, 30.0) as qmp:
        qmp.execute("human-monitor-command", **WRITE)
    kept = {"daily": (65536, True, False)}
    assert recorded(machine) == kept
    vm, state = machine.vm({}), str(machine.folder / "state")
    machine.backend.save(vm, state)
    machine.backend.undo(vm, state)
    assert recorded(machine) == kept
    saved = machine.backend.save(vm, state)
    machine.reap()
    machine.backend.discard(vm)
    assert [images.difference(Sysfs(), one) for one in saved.images] == [None]
    machine.backend.restore(vm, state, saved.form, True, lambda: None)
    assert recorded(machine) == kept


def test_one_in_memory_is_refused_by_name(machine: Machine) -> None:
    with _qmp.connect(machine.qmp, 30.0) as qmp:
        qmp.execute("block-dirty-bitmap-add", node="d0", name="pbs")
    ((problem, fix),) = machine.backend.ask(machine.qmp, machine.argv).moved
    assert "its dirty bitmap pbs of " in problem
    vm, state = machine.vm({}), str(machine.folder / "state")
    with pytest.raises(SriovError, match=r"pbs of .* is in memory only"):
        machine.backend.save(vm, state)
    assert machine.status() == "running"
    with _qmp.connect(machine.qmp, 30.0) as qmp:
        typed = json.loads(fix.partition("monitor: ")[2].partition("; a persistent")[0])
        qmp.execute(typed["execute"], **typed["arguments"])
    machine.backend.save(vm, state)


@pytest.mark.parametrize("answer", [5, [5], [{"dirty-bitmaps": 5}], [{"dirty-bitmaps": [{"name": 5}]}]])
def test_an_answer_that_is_none(answer: object) -> None:
    with pytest.raises(SriovError, match="QEMU"):
        list(bitmaps.lost(answer))


def test_those_of_jobs_have_no_name() -> None:
    node = {"node-name": "n", "dirty-bitmaps": [{"name": "", "persistent": False}, {"persistent": False}]}
    assert list(bitmaps.lost([node])) == []
