# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of a guest that a real QEMU stops by itself.

An idle guest stands still from then on, minutes before it is saved with the others.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import images
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from tests.fake.vm.real import NEEDS_QEMU_AND_IMAGES, Machine, running

pytestmark = [*NEEDS_QEMU_AND_IMAGES]
STANDS_S = 2.0


@contextlib.contextmanager
def idle(kind: str) -> Iterator[tuple[Machine, str]]:
    """A guest that does nothing, and its disk."""
    with tempfile.TemporaryDirectory(prefix="kf") as folder:
        disk = str(Path(folder) / "disk")
        subprocess.run(["qemu-img", "create", "-q", "-f", kind, disk, "1M"], check=True)
        with running(
            "-m", "64", "-drive", f"file={disk},format={kind},if=none,id=d", "-device", "ide-hd,drive=d"
        ) as it:
            yield it, disk


def status(machine: Machine) -> str:
    with _qmp.connect(machine.qmp, 20.0) as qmp:
        return str(qmp.execute("query-status")["status"])


def copied(machine: Machine, state: str) -> None:
    """Copy its memory, and wait until QEMU has stopped it."""
    machine.backend.copy(machine.vm({}), state, lambda _nearly: False)
    ended(machine)


def ended(machine: Machine) -> None:
    """Wait for the copy's end, with nothing that holds it."""
    until = time.monotonic() + 60
    with _qmp.connect(machine.qmp, 20.0) as qmp:
        qmp.execute("migrate-set-parameters", **{"max-bandwidth": 10**12})
    while status(machine) not in ("finish-migrate", "postmigrate"):
        assert time.monotonic() < until, "the guest is not idle"
        time.sleep(0.1)


def is_free(disk: str) -> bool:
    """Whether another program of QEMU's opens the disk for writing."""
    words = ["qemu-io", "-c", "write -q -P 7 0 512", disk]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_nobody_starts_it_beside_this_one_until_it_is_saved(kind: str) -> None:
    with idle(kind) as (machine, disk):
        vm, state = machine.vm({}), str(machine.folder / "state")
        copied(machine, state)
        assert not is_free(disk)
        time.sleep(STANDS_S)
        saved = machine.backend.save(vm, state)
        assert status(machine) == "postmigrate"
        assert saved.saved_at - saved.stopped_at > STANDS_S
        assert images.difference(Sysfs(), saved.images[0]) is None
        assert is_free(disk)
        assert images.difference(Sysfs(), saved.images[0]) is not None
        machine.reap()
        machine.backend.discard(vm)
        machine.backend.restore(vm, state, saved.form, True, lambda: None)
        assert status(machine) == "running"


def test_it_goes_on_when_the_update_is_given_up() -> None:
    """With its disk, which was its own all the time."""
    with idle("raw") as (machine, disk):
        state = str(machine.folder / "state")
        copied(machine, state)
        machine.backend.undo(machine.vm({}), state, stopped=False)
        assert status(machine) == "running"
        assert not is_free(disk)
