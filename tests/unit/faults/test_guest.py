# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest that knows its disk, on a real QEMU."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.fake.vm.real import NEEDS_QEMU, running
from tests.faults import guest

pytestmark = [*NEEDS_QEMU]


def wait(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def words(disk: Path) -> tuple[str, ...]:
    return ("-drive", f"file={disk},format=raw,if=none,id=d,file.locking=off", "-device", "ide-hd,drive=d")


def put(disk: Path, sector: bytes) -> None:
    with disk.open("r+b") as file:
        file.seek(512)
        file.write(sector)


def test_it_counts_boots_and_finds_what_others_wrote(tmp_path: Path) -> None:
    """A number on the disk that it did not write is found."""
    disk = tmp_path / "d.img"
    guest.make(disk)
    with running(*words(disk)):
        wait(lambda: guest.read(disk).sequence > 3)
        assert (guest.read(disk).boots, guest.read(disk).foreign) == (1, 0)
        put(disk, b"\0\0\0\0")
        wait(lambda: guest.read(disk).foreign > 0)
    with running(*words(disk)):
        wait(lambda: guest.read(disk).boots == 2)


def test_two_at_once_find_each_other(tmp_path: Path) -> None:
    disk = tmp_path / "d.img"
    guest.make(disk)
    with running(*words(disk)), running(*words(disk)):
        wait(lambda: guest.read(disk).foreign > 0)
