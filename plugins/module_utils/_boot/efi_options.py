# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load options of UEFI firmware, the entries of its boot menu.

Sources: UEFI 2.10, chapters 3.1.3 (EFI_LOAD_OPTION) and 10.3 (device paths).
"""

from __future__ import annotations

import os
import re
import struct
import uuid
from collections.abc import Iterator
from typing import NamedTuple

ACTIVE = 1
"""LOAD_OPTION_ACTIVE; the firmware passes over others."""
MEDIA, HARD_DRIVE, FILE_PATH = 4, 1, 4
END = struct.pack("<BBH", 0x7F, 0xFF, 4)
MBR_SIGNATURE, GUID_SIGNATURE = 1, 2
MAX_NODES = 64
REMOVABLE = "/EFI/BOOT/BOOTX64.EFI" if os.uname().machine == "x86_64" else "/EFI/BOOT/BOOTAA64.EFI"
"""What firmware starts of a partition where it is given no file.

UEFI 2.10, chapter 3.5.1.1.
"""


class Option(NamedTuple):
    """A load option: Boot0003 for ``number`` 3.

    ``file`` has slashes, such as /EFI/debian/shimx64.efi, None where it starts no file; ``partition`` is the PARTUUID,
    as Linux has it, of the partition with that file.
    """

    number: int
    title: str
    active: bool
    file: str | None
    partition: str | None

    @property
    def name(self) -> str:
        return f"Boot{self.number:04X}"

    def __str__(self) -> str:
        return f"{self.name} ({self.title[:40]!r}, {self.file or 'no file'})"


def parse(number: int, data: bytes) -> Option | None:
    """A load option, None for bytes that are none."""
    if len(data) < 8:
        return None
    (attributes,) = struct.unpack_from("<I", data)
    title = _title(data)[0]
    parts, partition = [], None
    for kind, sub, content in nodes(data):
        if (kind, sub) == (MEDIA, FILE_PATH):
            parts.append(content.decode("utf-16-le", errors="replace").split("\0")[0])
        if (kind, sub) == (MEDIA, HARD_DRIVE) and len(content) == 38:
            partition = _partition(content)
    path = re.sub(r"/+", "/", "/" + "/".join(parts).replace("\\", "/")) if parts else None
    return Option(number, title, bool(attributes & ACTIVE), path, partition)


def nodes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, subkind and contents of the nodes of its device path."""
    (length,) = struct.unpack_from("<H", data, 4)
    begin = _title(data)[1]
    rest = data[begin : begin + length]
    for _number in range(MAX_NODES):
        if len(rest) < 4:
            return
        kind, sub, size = struct.unpack_from("<BBH", rest)
        if size < 4 or (kind, sub) == (0x7F, 0xFF):
            return
        yield kind, sub, rest[4:size]
        rest = rest[size:]


def of_another_file(data: bytes, title: str, file: str) -> bytes:
    """The same option with another file, and without data."""
    kept = [(kind, sub, content) for kind, sub, content in nodes(data) if (kind, sub) != (MEDIA, FILE_PATH)]
    text = (file.replace("/", "\\") + "\0").encode("utf-16-le")
    path = b"".join(
        struct.pack("<BBH", kind, sub, 4 + len(content)) + content
        for kind, sub, content in [*kept, (MEDIA, FILE_PATH, text)]
    )
    return struct.pack("<IH", ACTIVE, len(path + END)) + (title + "\0").encode("utf-16-le") + path + END


def _partition(content: bytes) -> str | None:
    """PARTUUID of a hard drive's node, None without one.

    With an MBR it is the disk's mark and the partition's number.
    """
    if content[37] == GUID_SIGNATURE:
        return str(uuid.UUID(bytes_le=content[20:36]))
    if content[37] != MBR_SIGNATURE:
        return None
    (number,), (mark,) = struct.unpack_from("<I", content), struct.unpack_from("<I", content, 20)
    return f"{mark:08x}-{number:02x}"


def _title(data: bytes) -> tuple[str, int]:
    """The description, and where the device path begins."""
    at = 6
    while data[at : at + 2] not in (b"\0\0", b"\0", b""):
        at += 2
    return data[6:at].decode("utf-16-le", errors="replace"), at + 2
