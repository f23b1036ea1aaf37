# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot loader a host has, by what it has booted with.

Files of a boot loader that is not what boots are no evidence: many hosts have left-over ones.
"""

from __future__ import annotations

import os

from .._system.process import Run
from .._system.sysfs import Sysfs
from . import efi, efi_program, firmware, grub_origin, grub_sector, proxmox_esps
from .answer import Loader
from .efi_options import Option
from .firmware import TRIAL, ByFirmware, program_of
from .grub import Grub
from .grub_bootnext import GrubByFirmware
from .proxmox import Proxmox
from .systemd_boot import SystemdBoot
from .unknown import UnknownBootError
from .volume import require_mounted

GRUB_FOLDERS = ("/boot/grub", "/boot/grub2")


def find(sysfs: Sysfs, run: Run) -> Loader:
    """The boot loader of this host.

    Raises `UnknownBootError` with what was looked at.
    """
    if proxmox_esps.uuids(sysfs):
        found = Proxmox(sysfs, run, _of_proxmox(sysfs))
        return ByFirmware(sysfs, found) if efi.is_efi(sysfs) else found
    return _of_efi(sysfs, run) if efi.is_efi(sysfs) else _of_bios(sysfs, run)


def _of_proxmox(sysfs: Sysfs) -> tuple[str, ...]:
    """Evidence that one of the ESPs of proxmox-boot-tool is what boots.

    Left-over files in /boot say nothing about it.
    """
    kept = {sysfs.link(f"/dev/disk/by-uuid/{uuid}") for uuid in proxmox_esps.uuids(sysfs)}
    if not efi.is_efi(sysfs):
        disks = [name for name in grub_sector.disks(sysfs) if grub_sector.has_grub(sysfs, name)]
        with_esp = [name for name in disks if any(one is not None and one.startswith(name) for one in kept)]
        if not with_esp:
            raise UnknownBootError(f"no disk with an ESP of {proxmox_esps.UUIDS} has a boot sector of GRUB")
        return (f"boot sector of GRUB on {', '.join(with_esp)}, with an ESP of {proxmox_esps.UUIDS}",)
    info = efi.text(sysfs, "LoaderInfo") or ""
    booted = efi.booted(sysfs)
    _first, before = firmware.first(sysfs, booted, lambda one: _on_esp(sysfs, one, booted, kept))
    if not info.startswith("systemd-boot"):
        return (f"the firmware started {booted.file}", *before, f"{proxmox_esps.UUIDS} has {len(kept)} ESPs")
    mark = (efi.text(sysfs, "LoaderDevicePartUUID") or "").lower()
    device = sysfs.link(f"/dev/disk/by-partuuid/{mark}") if mark else None
    if device is None or device not in kept:
        raise UnknownBootError(
            f"{info} was started from {device or 'no known partition'}, no ESP of {proxmox_esps.UUIDS}"
        )
    return (f"LoaderInfo: {info}", f"started from {device}, an ESP of {proxmox_esps.UUIDS}")


def _on_esp(sysfs: Sysfs, one: Option, booted: Option, kept: set[str | None]) -> bool:
    """Whether it is the program that was booted, of any ESP."""
    device = sysfs.link(f"/dev/disk/by-partuuid/{one.partition}") if one.partition else None
    return program_of(one) == program_of(booted) or (device in kept and program_of(one)[0] == program_of(booted)[0])


def _of_efi(sysfs: Sysfs, run: Run) -> Loader:
    info = efi.text(sysfs, "LoaderInfo") or ""
    booted = efi.booted(sysfs)
    if info.startswith("systemd-boot"):
        _first, before = firmware.first(sysfs, booted, lambda one: _alike(one, booted))
        return ByFirmware(sysfs, SystemdBoot(sysfs, run, (f"LoaderInfo: {info}", *before)))
    goal = booted if booted.number == TRIAL else _started(sysfs, booted, info)
    origin, before = firmware.first(sysfs, booted, lambda one: _leads_to(sysfs, one, booted, goal))
    found = _started(sysfs, origin, info)
    require_mounted(sysfs, "/boot", "/boot/efi", "/efi")
    folder, file = _folder(sysfs), found.file or ""
    through = () if found == origin else (f"{origin.file} leads to {file}",)
    evidence = (f"the firmware started {origin.file}", *through, *before, *grub_origin.evidence(sysfs, found, folder))
    return GrubByFirmware(sysfs, Grub(sysfs, run, folder, evidence, os.path.dirname(file)), found)


def _started(sysfs: Sysfs, one: Option, info: str) -> Option:
    """The option of the GRUB, or of its shim, that starts.

    By the names that these have, else by the programs' contents.
    """
    if os.path.basename(one.file or "").lower().startswith(("grub", "shim")):
        return one
    found = efi_program.started(sysfs, one)
    if found is None and not info.startswith("GRUB"):
        raise UnknownBootError(
            f"the boot loader is not known: LoaderInfo says {info or 'nothing'}, the firmware started {one.file}, "
            "which is neither GRUB nor a shim that leads to one GRUB, or its ESP is not mounted; known are GRUB, "
            "systemd-boot and Proxmox's boot tool"
        )
    return found or one


def _leads_to(sysfs: Sysfs, one: Option, booted: Option, goal: Option) -> bool:
    """Whether an option starts what was booted.

    By itself or through shim's fallback program.
    """
    ends = (one, (efi_program.started(sysfs, one) or one) if efi_program.is_removable(one) else one)
    return any(_alike(end, of) for end in ends for of in (booted, goal))


def _alike(one: Option, booted: Option) -> bool:
    """Whether it is the program booted, or what a trial copied."""
    same = program_of(one) == program_of(booted)
    names = [os.path.basename(program_of(option)[0]) for option in (one, booted)]
    return same or (booted.number == TRIAL and names[0] == names[1] and one.partition == booted.partition)


def _of_bios(sysfs: Sysfs, run: Run) -> Loader:
    disks = grub_sector.disks(sysfs)
    with_grub = [name for name in disks if grub_sector.has_grub(sysfs, name)]
    if not with_grub:
        raise UnknownBootError(
            f"the boot loader is not known: no {efi.FOLDER}, and no boot sector of GRUB on "
            f"{', '.join(disks) or 'any disk'}"
        )
    require_mounted(sysfs, "/boot")
    folder = _folder(sysfs)
    return Grub(sysfs, run, folder, grub_sector.evidence(sysfs, with_grub, folder))


def _folder(sysfs: Sysfs) -> str:
    """GRUB's folder, where links to it lead to.

    Its file system decides what GRUB can write (grub-install resolves links as well).
    """
    found = [folder for folder in GRUB_FOLDERS if sysfs.exists(f"{folder}/grub.cfg")]
    if len(found) != 1:
        looked = " and ".join(f"{folder}/grub.cfg" for folder in GRUB_FOLDERS)
        raise UnknownBootError(f"GRUB boots this host; of {looked} {len(found)} exist, expected one")
    top = os.path.realpath(sysfs.real("/"))
    return "/" + os.path.relpath(os.path.realpath(sysfs.real(found[0])), top)
