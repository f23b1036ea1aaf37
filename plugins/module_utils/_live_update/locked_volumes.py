# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted volumes that the boot of a new kernel has to open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._model import command_line
from .._model.errors import KernelError, SriovError
from .._model.paths import BLOCK_DEVICES, LIVE_UPDATE, PROGRAM
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._vm import storage
from . import crypttab, luks_header
from .crypttab import Entry
from .luks_header import Token

CRYPT = ("CRYPT-LUKS1-", "CRYPT-LUKS2-", "CRYPT-PLAIN-", "CRYPT-BITLK-", "CRYPT-TCRYPT-", "CRYPT-FVAULT2-")
"""Beginnings of /sys/block/dm-N/dm/uuid of volumes that a key opens (cryptsetup, lib/libdevmapper.c)."""
LISTERS = ("lsinitramfs", "lsinitrd")
"""Programs that list an initrd, of initramfs-tools and of dracut."""
AUTOMATIC = "/etc/cryptsetup-keys.d"
"""Folder of key files that crypttab need not name (crypttab(5))."""
CLEVIS_UNITS = ("/usr/lib/systemd/system/clevis-luks-askpass.path", "/lib/systemd/system/clevis-luks-askpass.path")


@dataclass(frozen=True)
class Locked:
    """A volume that has to be opened.

    ``needed_for``: paths on it, none when the boot only waits for it; ``early``: in the initrd. ``key_there`` and
    ``clevis``: whether its key file, or clevis, is where they are needed, None when unknown.
    """

    name: str
    source: str
    needed_for: tuple[str, ...] = ()
    early: bool = False
    entry: Entry | None = None
    tokens: tuple[Token, ...] = ()
    key_there: bool | None = False
    clevis: bool | None = False
    cmdline: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str | None:
        return (self.entry.key if self.entry else None) or self.cmdline.get("key")

    @property
    def options(self) -> dict[str, str]:
        own = dict(self.entry.options) if self.entry else {}
        return {**crypttab.options(self.cmdline.get("options", "")), **own}


def find(sysfs: Sysfs, run: Run, initrd: str | None, cmdline: str) -> list[Locked]:
    """Find the volumes that a boot has to open.

    Below the root, the states and the program, and those that it only waits for.

    ``cmdline``: of the new kernel; ``initrd``: its path, None for none.
    """
    entries = crypttab.parse(text(sysfs, crypttab.PATH))
    needed = _needed(sysfs)
    names: frozenset[str] | None = frozenset()
    if any("/" in paths for paths in needed.values()) and initrd is not None:
        names = _listed(run, initrd)
    found, seen = [], set[str]()
    for device, paths in needed.items():
        name, source = text(sysfs, f"{BLOCK_DEVICES}/{device}/dm/name"), _source(sysfs, device)
        entry = next((one for one in entries if one.name == name), None)
        found.append(
            _locked(sysfs, Locked(name, source, paths, "/" in paths, entry, cmdline=_luks_words(cmdline)), names)
        )
        seen.add(name)
    for entry in entries:
        if entry.awaited and entry.name not in seen:
            found.append(_locked(sysfs, Locked(entry.name, device_of(sysfs, entry.source), entry=entry), names))
    return found


def _needed(sysfs: Sysfs) -> dict[str, tuple[str, ...]]:
    """Paths that need a volume, by its device (dm-N)."""
    needed: dict[str, tuple[str, ...]] = {}
    for path in ("/", LIVE_UPDATE, PROGRAM):
        there = path
        while not sysfs.exists(there):
            there = os.path.dirname(there)
        for device in storage.devices_of(sysfs, there):
            if text(sysfs, f"{BLOCK_DEVICES}/{device}/dm/uuid").startswith(CRYPT):
                needed[device] = (*needed.get(device, ()), path)
    return needed


def _locked(sysfs: Sysfs, one: Locked, names: frozenset[str] | None) -> Locked:
    """A volume with what opens it."""
    return Locked(**{
        **vars(one), "tokens": luks_header.tokens(sysfs, one.source) if one.source else (),
        "key_there": _key_there(sysfs, one, names), "clevis": _clevis_there(sysfs, one, names),
    })  # fmt: skip


def _key_there(sysfs: Sysfs, one: Locked, names: frozenset[str] | None) -> bool | None:
    """Whether its key file is there, named or automatic.

    initramfs-tools copies key files to cryptroot/keyfiles (cryptsetup-initramfs), dracut keeps their paths.
    """
    paths = [one.key] if one.key else [f"{AUTOMATIC}/{one.name}.key"]
    if ":" in paths[0]:  # on a device of its own
        return True
    if not one.early:
        return sysfs.exists(paths[0])
    if names is None:
        return None
    return bool(names & {paths[0].lstrip("/"), f"cryptroot/keyfiles/{one.name}.key"})


def _clevis_there(sysfs: Sysfs, one: Locked, names: frozenset[str] | None) -> bool | None:
    if not one.early:
        return any(sysfs.exists(path) for path in CLEVIS_UNITS)
    return None if names is None else any("clevis" in name for name in names)


def _listed(run: Run, initrd: str) -> frozenset[str] | None:
    """Words of an initrd's listing, None when no program lists it."""
    for program in LISTERS:
        try:
            return frozenset(word.lstrip("/") for word in run([program, initrd]).split())
        except SriovError:
            continue
    return None


def _luks_words(cmdline: str) -> dict[str, str]:
    """Key and options of a command line (systemd-cryptsetup-generator(8)).

    As ``rd.luks.key=/path`` or ``rd.luks.options=UUID=tpm2-device=auto``.
    """
    found: dict[str, str] = {}
    for word in command_line.split(cmdline):
        name, _equals, value = word.replace('"', "").removeprefix("rd.").partition("=")
        if name in ("luks.key", "luks.options"):
            first, equals, rest = value.partition("=")
            found[name[5:]] = rest if equals and len(first) == 36 else value
    return found


def _source(sysfs: Sysfs, device: str) -> str:
    slaves = sysfs.names(f"{BLOCK_DEVICES}/{device}/slaves")
    return slaves[0] if len(slaves) == 1 else ""


def device_of(sysfs: Sysfs, source: str) -> str:
    """Kernel's name of a source in crypttab, empty without one."""
    kind, _equals, value = source.replace('"', "").partition("=")
    path = f"/dev/disk/by-{kind.lower()}/{value}" if value and not source.startswith("/") else source
    if not path.startswith("/dev/") or not sysfs.exists(path):
        return ""
    try:
        return sysfs.link(path) or os.path.basename(path)
    except KernelError:
        return os.path.basename(path)


def text(sysfs: Sysfs, path: str) -> str:
    """The beginning of a file, empty without one."""
    try:
        return sysfs.read_bytes(path, crypttab.LARGEST).decode(errors="replace").rstrip("\n")
    except KernelError:
        return ""
