# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a GRUB of the ESP reads the host's own folder.

By the file beside it; at the path that firmware starts by itself by what grub-install has built into it. Sources: GRUB,
util/grub-install.c and util/grub-install-common.c.
"""

from __future__ import annotations

import os
import re

from .._model.paths import BLOCK_DEVICES
from .._system.sysfs import Sysfs
from . import efi_program
from .efi_options import Option
from .unknown import UnknownBootError
from .volume import Volume, mount_of, volume_of

WITHOUT_UUID = ("zfs", "btrfs")
"""File systems of several disks.

The host may not show the UUID that GRUB has. Then the path alone is compared.
"""
ESPS = ("/boot/efi", "/efi", "/boot")
SEARCH = r"search\.fs_uuid (?P<uuid>\S+) root\b.*?\bset prefix=\(\$root\)['\"]?(?P<path>/[^'\"\s]*)['\"]?"
STUB = re.compile(SEARCH + r".*?\bconfigfile ", re.DOTALL)
"""What Debian's grub-install writes beside a signed GRUB.

Its own prefix is the folder on the ESP.
"""
BUILT_IN = re.compile(SEARCH, re.DOTALL)
"""What grub-install builds into an unsigned GRUB."""
LAYERED = re.compile(r"\((?P<kind>lvmid|mduuid)/(?P<name>[^)]+)\)(?P<path>/.*)")
"""The prefix that it builds in for LVM and RAID."""


def evidence(sysfs: Sysfs, one: Option, folder: str) -> tuple[str, ...]:
    """What shows that the GRUB of ``one`` reads ``folder``.

    Raises `UnknownBootError` where it reads something else, or nobody knows what.
    """
    program = efi_program.grub_of(sysfs, one)
    built_in = "" if program is None else f"{program.configuration}\n{program.prefix}"
    search, layered = BUILT_IN.search(built_in), LAYERED.search(built_in)
    if search is not None:
        return compared(sysfs, search, f"what is built into {one.file}", folder)
    if layered is not None and is_on(sysfs, layered, volume_of(sysfs, folder), folder):
        return (f"{layered[0]}, which is built into {one.file}, is {folder}",)
    found: tuple[str, ...] = ()
    if layered is None and not efi_program.is_removable(one):
        found = _by_file(sysfs, one, os.path.dirname(one.file or ""), folder) or ("no grub.cfg beside it",)
    elif layered is None and program is not None:
        found = _by_file(sysfs, one, program.prefix, folder)
    if not found:
        has = built_in.strip()[-200:] or "its ESP is not mounted"
        raise UnknownBootError(
            f"{one.file} is GRUB, and what it reads is not known ({has}): install it again (grub-install), so that it "
            f"leads to {folder}"
        )
    return found


def _by_file(sysfs: Sysfs, one: Option, place: str, folder: str) -> tuple[str, ...]:
    """Compare the grub.cfg in a folder of an option's own ESP.

    Nothing without it.
    """
    path = next((path for esp in ESPS if sysfs.exists(path := f"{esp}{place}/grub.cfg")), None)
    device = sysfs.link(f"/dev/disk/by-partuuid/{one.partition}") if one.partition else None
    mounted = None if device is None else mount_of(sysfs, device)
    if mounted is not None:
        path = f"{mounted.rstrip('/')}{place}/grub.cfg"
    elif path is not None and device is not None and volume_of(sysfs, path).kind == "vfat":
        raise UnknownBootError(f"the firmware starts {one.file} of {device}, which is not mounted: mount /dev/{device}")
    if path is None or not place.startswith("/") or not sysfs.exists(path):
        return ()
    match = STUB.search(sysfs.read_bytes(path, 1 << 16).decode(errors="replace"))
    if match is None:
        raise UnknownBootError(f"{path}, which the firmware's GRUB reads first, is not understood")
    return compared(sysfs, match, path, folder)


def compared(sysfs: Sysfs, match: re.Match[str], what: str, folder: str) -> tuple[str, ...]:
    """Compare what a GRUB looks for with the folder's file system."""
    volume = volume_of(sysfs, folder)
    same = match["uuid"] in volume.uuids or (not volume.uuids and volume.kind in WITHOUT_UUID)
    if not same or match["path"].rstrip("/") != volume.to_loader(folder):
        raise UnknownBootError(
            f"{what} leads to {match['path']} of file system {match['uuid']}; {folder} is {volume.to_loader(folder)} "
            f"of {', '.join(volume.uuids) or volume.source}"
        )
    return (f"{what} leads to {folder}",)


def is_on(sysfs: Sysfs, match: re.Match[str], volume: Volume, folder: str) -> bool:
    """Whether a layered device of GRUB's is the one of ``volume``.

    lvmid/GROUP/VOLUME and mduuid/UUID, which Linux has in other forms.
    """
    if match["path"].rstrip("/") != volume.to_loader(folder):
        return False
    mark = re.sub("[-/:]", "", match["name"])
    if match["kind"] == "lvmid":
        path = f"{BLOCK_DEVICES}/{volume.device}/dm/uuid"
        return sysfs.exists(path) and sysfs.read(path).strip() == f"LVM-{mark}"
    by_id = "/dev/disk/by-id"
    names = [name for name in sysfs.names(by_id) if name.startswith("md-uuid-")]
    same = [name for name in names if name[len("md-uuid-") :].replace(":", "") == mark]
    return any(sysfs.link(f"{by_id}/{name}") == volume.device for name in same)
