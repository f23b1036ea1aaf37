# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB in boot sectors, and which folder it reads.

The sector leads to GRUB's core image, into which grub-install has built where the folder is. Sources: GRUB,
grub-core/boot/i386/pc (boot.S, diskboot.S, startup_raw.S), include/grub/offsets.h, util/mkimage.c and
util/grub-install.c.
"""

from __future__ import annotations

import lzma
import re
import struct
from collections.abc import Sequence

from .._model.errors import KernelError
from .._model.paths import BLOCK_DEVICES
from .._system.sysfs import Sysfs
from .efi_program import MODULES_32, Program, parse
from .grub_origin import BUILT_IN, LAYERED, WITHOUT_UUID, compared, is_on
from .unknown import UnknownBootError
from .volume import Volume, volume_of

NOT_A_DISK = ("loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "zd")
SECTOR = 512
MOST = 4 << 20
"""Bytes of a disk that are searched.

The gap behind the sector, or a partition for GRUB at its usual place.
"""
CORE_AT = 0x5C
LIST_AT, LIST = SECTOR - 12, struct.Struct("<QHH")
SIZES_AT, SIZES = 8, struct.Struct("<II")
LZMA = [{"id": lzma.FILTER_LZMA1, "lc": 3, "lp": 0, "pb": 2, "dict_size": 1 << 20}]
DECOMPRESSOR = range(0x400, 0x2000, 16)
"""Where compressed data may begin, behind the program that reads it."""
ON_ITS_DISK = re.compile(r"\((?:hd\d+)?,(?:msdos|gpt)(?P<number>\d+)\)(?P<path>/.*)")
"""The prefix where the folder is on the same disk."""


def disks(sysfs: Sysfs) -> list[str]:
    """Names of disks that a BIOS could start."""
    return [name for name in sysfs.names("/sys/block") if not name.startswith(NOT_A_DISK)]


def has_grub(sysfs: Sysfs, disk: str) -> bool:
    """Whether boot.img of GRUB is in the first sector (by its messages)."""
    return b"GRUB \0Geom\0" in _begin(sysfs, disk, SECTOR)


def evidence(sysfs: Sysfs, with_grub: Sequence[str], folder: str) -> tuple[str, ...]:
    """What shows that GRUB in the sectors of these disks reads ``folder``.

    Which disk the BIOS starts is not known, so each has to. Where nobody can tell what one reads, it does if it is the
    only one, or if its disk carries the folder. Raises `UnknownBootError`.
    """
    volume = volume_of(sysfs, folder)
    shown = [line for disk in with_grub for line in _shown(sysfs, disk, folder, volume, alone=len(with_grub) == 1)]
    return (f"boot sector of GRUB on {', '.join(with_grub)}", *shown)


def _shown(sysfs: Sysfs, disk: str, folder: str, volume: Volume, alone: bool) -> tuple[str, ...]:
    try:
        found = _origin(sysfs, disk, folder, volume)
    except UnknownBootError as error:
        # an exception it is, whatever pylint takes it for
        raise UnknownBootError(f"{error}: {_fix(disk)}") from error  # pylint: disable=bad-exception-cause
    if not found and not alone and disk not in _carriers(sysfs, volume.device):
        raise UnknownBootError(
            f"several disks have a boot sector of GRUB, and what that of {disk} reads is not known; {folder} is not on "
            f"this disk: {_fix(disk)}"
        )
    return found


def _fix(disk: str) -> str:
    return (
        f"if it is this host's, 'grub-install /dev/{disk}' has it say so; if the host never starts from {disk}, take "
        f"its GRUB away ('dd if=/dev/zero of=/dev/{disk} bs=440 count=1')"
    )


def _origin(sysfs: Sysfs, disk: str, folder: str, volume: Volume) -> tuple[str, ...]:
    """What is built in, compared with the folder; nothing where unknown."""
    program = core(_begin(sysfs, disk, MOST))
    text = "" if program is None else f"{program.configuration}\n{program.prefix}"
    what = f"the boot sector of {disk}"
    search, layered = BUILT_IN.search(text), LAYERED.search(text)
    if search is not None:
        return compared(sysfs, search, what, folder)
    match = layered or ON_ITS_DISK.fullmatch(text.strip())
    if match is None:
        return ()
    same = is_on(sysfs, match, volume, folder) if layered else _is_on_disk(sysfs, match, disk, volume, folder)
    if not same:
        raise UnknownBootError(f"{what} leads to {match[0]} of that disk, which is not {folder} of {volume.source}")
    return (f"{what} leads to {folder}",)


def core(data: bytes) -> Program | None:
    """The GRUB in a disk's begin, None where none is found."""
    raw = _loaded(data)
    if len(raw) < SIZES_AT + SIZES.size:
        return None
    compressed, size = SIZES.unpack_from(raw, SIZES_AT)
    if max(compressed, size) > MOST:
        return None
    for begin in DECOMPRESSOR:
        try:
            reader = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=LZMA)
            kernel = reader.decompress(raw[begin : begin + compressed], max_length=size)
        except (lzma.LZMAError, EOFError):
            continue
        found = parse(kernel, MODULES_32) if len(kernel) == size else None
        if found is not None:
            return found
    return None


def _loaded(data: bytes) -> bytes:
    """What diskboot.img loads.

    The pieces of its list, from its end down to an empty one.
    """
    if len(data) < SECTOR:
        return b""
    first = struct.unpack_from("<Q", data, CORE_AT)[0] * SECTOR
    head, pieces = data[first : first + SECTOR], []
    # the size of a Struct is an int
    for at in range(LIST_AT, 0, -LIST.size) if len(head) == SECTOR else ():  # pylint: disable=invalid-unary-operand-type
        start, count, _segment = LIST.unpack_from(head, at)
        if not count or start * SECTOR >= len(data):
            break
        pieces.append(data[start * SECTOR : (start + count) * SECTOR])
    return b"".join(pieces)


def _is_on_disk(sysfs: Sysfs, match: re.Match[str], disk: str, volume: Volume, folder: str) -> bool:
    if match["path"].rstrip("/") != volume.to_loader(folder):
        return False
    numbers = {name: f"/sys/block/{disk}/{name}/partition" for name in sysfs.names(f"/sys/block/{disk}")}
    names = [name for name, path in numbers.items() if sysfs.exists(path) and sysfs.read(path) == match["number"]]
    return volume.device in names or volume.kind in WITHOUT_UUID


def _carriers(sysfs: Sysfs, device: str, depth: int = 8) -> set[str]:
    """Disks that a block device is on, those of arrays included."""
    below = sysfs.names(f"{BLOCK_DEVICES}/{device}/slaves") if depth else []
    own = {disk for disk in disks(sysfs) if disk == device or sysfs.exists(f"/sys/block/{disk}/{device}")}
    return own.union(*(_carriers(sysfs, name, depth - 1) for name in below))


def _begin(sysfs: Sysfs, disk: str, most: int) -> bytes:
    try:
        return sysfs.read_bytes(f"/dev/{disk}", most)
    except KernelError:
        return b""
