# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with UEFI firmware.

Its variables, its ESP, and a `bootctl` that sets variables.
"""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.efi import GLOBAL, LOADER
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs

PART = "aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb"
ESP_UUID = "CAFE-0001"


@dataclass
class EfiHost:
    """The host below ``folder``.

    Its root is sda2, its ESP sda1 at /boot/efi.
    """

    folder: Path
    entries: list[dict[str, Any]] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path, file: str, running: str = "6.1.0-18-amd64", partition: str = PART) -> EfiHost:
        """A host whose firmware has started ``file``, with backslashes.

        ``partition``: PARTUUID of its ESP.
        """
        host = cls(folder)
        host.write(
            "proc/self/mountinfo", "1 0 8:2 / / rw - ext4 /dev/sda2 rw\n2 1 8:1 / /boot/efi rw - vfat /dev/sda1 rw\n"
        )
        host.write("proc/sys/kernel/osrelease", running + "\n")
        host.write("proc/sys/kernel/bootloader_type", "114\n")
        for name, target in (
            ("sys/dev/block/8:1", "../../block/sda/sda1"), ("sys/dev/block/8:2", "../../block/sda/sda2"),
            (f"dev/disk/by-partuuid/{partition}", "../../sda1"), (f"dev/disk/by-uuid/{ESP_UUID}", "../../sda1"),
        ):  # fmt: skip
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(target)
        host.variable("BootCurrent", struct.pack("<H", 3), GLOBAL)
        host.variable("Boot0003", load_option("debian", file, partition), GLOBAL)
        host.order(3)
        return host

    @property
    def sysfs(self) -> Sysfs:
        return Sysfs(str(self.folder))

    def write(self, name: str, text: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def variable(self, name: str, value: str | bytes, vendor: str = LOADER) -> None:
        data = value if isinstance(value, bytes) else (value + "\0").encode("utf-16-le")
        self.write(f"sys/firmware/efi/efivars/{name}-{vendor}", struct.pack("<I", 7) + data)

    def order(self, *numbers: int, name: str = "BootOrder") -> None:
        """Set BootOrder, BootNext or BootCurrent."""
        self.variable(name, struct.pack(f"<{len(numbers)}H", *numbers), GLOBAL)

    def kernel(self, release: str, **more: object) -> str:
        """An entry as kernel-install writes it, with its files; returns its id."""
        folder = f"/m/{release}"
        for name in ("linux", "initrd.img"):
            self.write(f"boot/efi{folder}/{name}", "x")
        entry = f"m-{release}.conf"
        self.entries.append(
            {"type": "type1", "id": entry, "title": "Debian", "version": release, "root": "/boot/efi",
             "options": "quiet", "linux": f"{folder}/linux", "initrd": [f"{folder}/initrd.img"], **more}
        )  # fmt: skip
        return entry

    def run(self, argv: Sequence[str]) -> str:
        self.calls.append(list(argv))
        if list(argv[:2]) == ["bootctl", "list"]:
            return json.dumps(self.entries)
        names = {"set-default": "LoaderEntryDefault", "set-oneshot": "LoaderEntryOneShot"}
        if argv[0] != "bootctl" or argv[1] not in names:
            raise ToolError(argv, 127, "not played")
        if argv[2]:
            self.variable(names[argv[1]], argv[2])
        else:
            (self.folder / f"sys/firmware/efi/efivars/{names[argv[1]]}-{LOADER}").unlink(missing_ok=True)
        return ""


def load_option(name: str, file: str, partition: str = "", active: bool = True) -> bytes:
    """A load option of a file, or of the network without one.

    UEFI 2.10, 3.1.3 and 10.3.5.
    """
    text = (file + "\0").encode("utf-16-le")
    mark = bytes(18)
    if len(partition) == 11:  # of an MBR: its mark and the number
        mark = struct.pack("<I", int(partition[:8], 16)) + bytes(12) + b"\1\1"
    elif partition:
        mark = uuid.UUID(partition).bytes_le + b"\2\2"
    disk = struct.pack("<BBHIQQ", 4, 1, 42, 1, 2048, 1 << 20) + mark
    path = struct.pack("<BBH", 4, 4, 4 + len(text)) + text
    nodes = (disk + path if file else struct.pack("<BBH", 3, 11, 37) + bytes(33)) + struct.pack("<BBH", 0x7F, 0xFF, 4)
    return struct.pack("<IH", int(active), len(nodes)) + (name + "\0").encode("utf-16-le") + nodes
