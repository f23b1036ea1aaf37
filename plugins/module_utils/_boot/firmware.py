# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What UEFI firmware starts next, and by default.

How this boot came about says neither: somebody may have chosen it in the firmware's menu, or by BootNext. Sources: UEFI
2.10, chapters 3.1.1 and 3.3.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .._model.errors import RefusedError
from .._system.sysfs import Sysfs
from . import efi
from .answer import Answer, Loader, Start
from .efi_options import Option
from .unknown import UnknownBootError
from .volume import mount_of

TRIAL = 0x4B56
"""Number of the load option of a trial, never in BootOrder."""


def program_of(one: Option) -> tuple[str, str | None]:
    """What tells programs apart; FAT knows no upper and lower case."""
    return (one.file or "").lower(), one.partition


def first(sysfs: Sysfs, booted: Option, alike: Callable[[Option], bool]) -> tuple[Option, tuple[str, ...]]:
    """What the firmware starts by default, and tries before that.

    ``booted`` where BootOrder has none. Options without a file (network, the firmware's own) are only named: whether
    they start something, only the boot shows. Raises `UnknownBootError` for one that ``alike`` does not take for the
    boot loader that was looked at.
    """
    order, before = efi.numbers(sysfs, "BootOrder"), []
    if TRIAL in order:
        raise UnknownBootError(
            f"BootOrder has Boot{TRIAL:04X}, by which a kernel is tried once: efibootmgr --bootnum {TRIAL:04X} "
            "--delete-bootnum"
        )
    options = (booted if number == booted.number else efi.option(sysfs, number) for number in order)
    for one in filter(None, options):
        if not one.active or (one.file is not None and not _is_there(sysfs, one)):
            continue
        if one.file is None:
            before.append(f"the firmware tries {one} first")
        elif alike(one):
            return one, tuple(before)
        else:
            raise UnknownBootError(
                f"the firmware starts {one} by default, and this boot came from {booted}: boot by the default, or make "
                f"the other one it, efibootmgr --bootorder {booted.number:04X}"
            )
    if booted.number == TRIAL:
        raise UnknownBootError(f"BootOrder has nothing that starts, and this boot came from {booted}")
    return booted, tuple(before)


def _is_there(sysfs: Sysfs, one: Option) -> bool:
    """Whether an option's partition and file exist, as far as known."""
    if one.partition is None:
        return True
    device = sysfs.link(f"/dev/disk/by-partuuid/{one.partition}")
    if device is None:
        return False
    place = mount_of(sysfs, device)
    return place is None or find_file(sysfs.real(place), one.file or "") is not None


def find_file(folder: str, path: str) -> str | None:
    """A file below a folder, whatever the case of its letters."""
    for name in filter(None, path.split("/")):
        try:
            names = os.listdir(folder)
        except OSError:
            return None
        same = [one for one in names if one.lower() == name.lower()]
        if not same:
            return None
        folder = os.path.join(folder, same[0])
    return folder


def waiting(sysfs: Sysfs) -> int | None:
    """The number of the option that BootNext names, None without it."""
    found = efi.numbers(sysfs, "BootNext")
    return found[0] if found else None


def refuse_waiting(sysfs: Sysfs) -> None:
    """Refuse to act while something that is not ours waits in BootNext."""
    number = waiting(sysfs)
    if number not in (None, TRIAL):
        raise RefusedError(
            f"the firmware starts {efi.option(sysfs, number or 0) or f'Boot{number:04X}'} next, as BootNext says: let "
            "it, or efibootmgr --delete-bootnext"
        )


def start_of(sysfs: Sysfs, number: int) -> Start:
    """What BootNext starts, whose kernel is not known."""
    one = efi.option(sysfs, number)
    name = f"Boot{number:04X}" if one is None else one.name
    return Start(name, one.title if one else "", None, None, (), "", (), False)


@dataclass(frozen=True)
class ByFirmware:
    """A boot loader that the firmware starts, unless BootNext names something else."""

    sysfs: Sysfs
    inner: Loader

    @property
    def name(self) -> str:
        return self.inner.name

    def own_entry(self) -> bool:
        return self.inner.own_entry()

    def answer(self) -> Answer:
        found, number = self.inner.answer(), waiting(self.sysfs)
        return found if number is None else replace(found, next=start_of(self.sysfs, number))

    def updated(self) -> Answer | None:
        return self.inner.updated()

    def set_default(self, start: Start) -> None:
        self.inner.set_default(start)

    def set_once(self, start: Start | None, words: Sequence[str] = ()) -> None:
        refuse_waiting(self.sysfs)
        self.inner.set_once(start, words)
