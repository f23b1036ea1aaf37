# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ESPs that proxmox-boot-tool keeps, read through copies.

They are not mounted; the tool mounts them one by one. Source: proxmox-kernel-helper, src/proxmox-boot/functions and
zz-proxmox-boot.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass

from .._model.boot_paths import ESP_COPIES
from .._model.errors import SriovError
from .._system import process
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import esp_child
from .loader_entries import LoaderEntry, parse_text
from .unknown import UnknownBootError
from .volume import Volume, mount_of

UUIDS = "/etc/kernel/proxmox-boot-uuids"
UUID = re.compile(r"[0-9a-fA-F]{4}-[0-9a-fA-F]{4}")
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Esp:
    """One ESP.

    ``device`` is the kernel's name of its partition; ``folder`` the copy's, as a path of the host.
    """

    uuid: str
    device: str
    folder: str

    def volume(self) -> Volume:
        """As GRUB on it sees it."""
        return Volume(self.folder, "/", "vfat", self.device, self.device, (self.uuid,))


def uuids(sysfs: Sysfs) -> list[str]:
    """The UUIDs in the tool's list, none without one.

    Raises `UnknownBootError` for other text.
    """
    found = sysfs.read(UUIDS).split() if sysfs.exists(UUIDS) else []
    strange = [one for one in found if UUID.fullmatch(one) is None]
    if strange:
        raise UnknownBootError(f"{UUIDS} has {strange[0][:40]!r}, which is no UUID of an ESP: proxmox-boot-tool clean")
    return found


def read(sysfs: Sysfs, run: Run) -> list[Esp]:
    """Copy all ESPs.

    Raises `UnknownBootError` for one that cannot be read, as the firmware may boot from it.
    """
    shutil.rmtree(sysfs.real(ESP_COPIES), ignore_errors=True)
    return [_read(sysfs, run, uuid) for uuid in uuids(sysfs)]


def _read(sysfs: Sysfs, run: Run, uuid: str) -> Esp:
    device = sysfs.link(f"/dev/disk/by-uuid/{uuid}")
    if device is None:
        raise UnknownBootError(f"ESP {uuid} of {UUIDS} is not there: its disk, or `proxmox-boot-tool clean`")
    folder = f"{ESP_COPIES}/{uuid}"
    os.makedirs(sysfs.real(folder), mode=0o700)
    try:
        mounted = mount_of(sysfs, device)
        if mounted is not None:
            esp_child.copy(sysfs.real(mounted), sysfs.real(folder))
        else:
            child = [sys.executable, "-IS", "-c", process.source_of(esp_child)]
            run(["unshare", "--mount", "--propagation", "private", *child, f"/dev/{device}", sysfs.real(folder)])
    except (SriovError, OSError) as error:
        raise UnknownBootError(f"ESP {uuid} ({device}) could not be read: {error}") from error
    return Esp(uuid, device, folder)


def entries(sysfs: Sysfs, esp: Esp) -> list[LoaderEntry]:
    """Entries of systemd-boot on an ESP, the newest first."""
    folder = f"{esp.folder}/loader/entries"
    names = [name for name in sysfs.names(folder) if name.endswith(".conf")]
    texts = [(name, sysfs.read_bytes(f"{folder}/{name}", MAX_BYTES).decode(errors="replace")) for name in names]
    found = [parse_text(name, text, esp.folder) for name, text in texts]
    return sorted(found, key=lambda entry: _version(entry.version), reverse=True)


def _version(text: str) -> list[tuple[int, str]]:
    return [(int(word), "") if word.isdigit() else (-1, word) for word in re.findall(r"\d{1,18}|\D+", text)]
