# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers between a disk and a file system, as GRUB reads them.

Metadata for one disk with one volume that fills it, behind which the file system comes as it is. Sources: LVM2,
lib/format_text/layout.h and lib/label/label.h; Linux, include/uapi/linux/raid/md_p.h (mdp_superblock_1). Checksums are
left out, as GRUB does not look at them (grub-core/disk/lvm.c and mdraid1x_linux.c of GRUB 2.06).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from .zfs import DATASET

SECTOR = 512
BEGIN = 1 << 20
"""Bytes before the file system."""
EXTENT = 8192
"""Sectors of an extent of LVM: 4 MiB."""
PV = "abcdef0123456789abcdef0123456789"
MD = bytes(range(16))


class Layer(NamedTuple):
    """``device``: GRUB's name of the volume; ``modules`` of its core image.

    ``inside``: where its root is.
    """

    device: str
    modules: tuple[str, ...]
    head: bytes
    inside: str = ""


def none(_size: int) -> Layer:
    return Layer("hd1", (), b"")


def btrfs(_size: int) -> Layer:
    return Layer("hd1", ("btrfs",), b"")


def zfs(_size: int) -> Layer:
    return Layer("hd1", ("zfs",), b"", f"/{DATASET}@")


def lvm(size: int) -> Layer:
    """A volume group `vg` with the volume `root` of ``size`` bytes."""
    extents = size // (EXTENT * SECTOR)
    text = (
        f"""vg {{
id = "{_dashed("g" * 32)}"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = {EXTENT}
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {{
pv0 {{
id = "{_dashed(PV)}"
device = "/dev/vdb"
status = ["ALLOCATABLE"]
flags = []
dev_size = {(BEGIN + size) // SECTOR}
pe_start = {BEGIN // SECTOR}
pe_count = {extents}
}}
}}
logical_volumes {{
root {{
id = "{_dashed("r" * 32)}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {{
start_extent = 0
extent_count = {extents}
type = "striped"
stripe_count = 1
stripes = [
"pv0", 0
]
}}
}}
}}
}}
""".encode()
        + b"\0"
    )
    label = struct.pack("<8sQII8s", b"LABELONE", 1, 0, 32, b"LVM2 001")
    header = PV.encode() + struct.pack("<Q", BEGIN + size) + struct.pack("<QQQQ", BEGIN, 0, 0, 0)
    header += struct.pack("<QQQQ", 4096, BEGIN - 4096, 0, 0)
    area = struct.pack("<I16sIQQ", 0, b" LVM2 x[5A%r0N*>", 1, 4096, BEGIN - 4096)
    area += struct.pack("<QQII", SECTOR, len(text), 0, 0)
    head = bytes(SECTOR) + (label + header).ljust(4096 - SECTOR, b"\0") + area.ljust(SECTOR, b"\0") + text
    return Layer("lvm/vg-root", ("lvm", "diskfilter"), head.ljust(BEGIN, b"\0"))


def _dashed(mark: str) -> str:
    """A UUID as LVM writes it."""
    parts, at = [], 0
    for length in (6, 4, 4, 4, 4, 4, 6):
        parts.append(mark[at : at + length])
        at += length
    return "-".join(parts)


def raid1(size: int) -> Layer:
    """A mirror of ``size`` bytes, with one of its two disks.

    Metadata 1.2.
    """
    sectors = size // SECTOR
    block = struct.pack("<IIII16s32sQ", 0xA92B4EFC, 1, 0, 0, MD, b"host:root", 0)
    block += struct.pack("<IIQIII", 1, 0, sectors, 0, 2, 0) + bytes(28)
    assert len(block) == 128, len(block)
    block += struct.pack("<QQQQII16sB", BEGIN // SECTOR, sectors, 8, sectors, 0, 0, bytes(16), 0) + bytes(7)
    block += struct.pack("<QQQII", 0, 1, sectors, 0, 2) + bytes(32) + struct.pack("<HH", 0, 1)
    return Layer(f"mduuid/{MD.hex()}", ("mdraid1x", "diskfilter"), (bytes(4096) + block).ljust(BEGIN, b"\0"))


LAYERS = {"ext4": none, "btrfs": btrfs, "zfs": zfs, "lvm": lvm, "md": raid1}
