# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a host, and of a kernel for it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._live_update import kernel_modules, kexec_rules
from .._model.errors import KernelError, ToolError
from .._model.paths import RELEASE
from .._readers.kernel_image import HEAD_BYTES
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import files, initrd, mounts, outside, stack, trust
from .initrd import Listing
from .stack import Stack

SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""Variable of UEFI: whether the firmware checks signatures.

Four bytes of attributes, then 1.
"""
HEADERS = "linux-headers-"
UPDATES = "/var/lib/dpkg/updates"
"""Numbered files that dpkg has not merged yet.

apt refuses while one is there (apt-pkg/deb/debsystem.cc).
"""
HALF = {"half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"}
BOOT_FILES = ("vmlinuz-{}", "System.map-{}", "config-{}")


@dataclass(frozen=True)
class Package:
    """A package of the manifest, and what dpkg has of it."""

    name: str
    wanted: str
    version: str = ""
    status: str = ""
    damaged: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether dpkg has it in this version."""
        return (self.version, self.status) == (self.wanted, "installed")


@dataclass(frozen=True)
class Facts:
    """Facts for the checks; None is not known.

    ``boot_free`` in bytes, ``boot_needed`` what a kernel and its initrd take there, by those of the running one;
    ``dkms``: names by kernel; ``loaded_outside``: loaded modules that are not the running kernel's own, by path;
    ``outside``: those of the new kernel; ``available``: its modules; ``secure_boot``: whether the firmware checks;
    ``trust``: what firmware and shim make of the image (`trust.judge`), empty without Secure Boot;
    ``interrupted``: whether dpkg has to end something first.
    """

    running: str
    architecture: str
    packages: tuple[Package, ...]
    image_whole: bool = False
    image_signed: bool | None = None
    initrd: str | None = None
    initrd_before: str | None = None
    listing: Listing | None = None
    listing_before: Listing | None = None
    root: Stack = field(default_factory=Stack)
    uplinks: Stack = field(default_factory=Stack)
    mounts: Stack = field(default_factory=Stack)
    here: frozenset[str] = frozenset()
    available: frozenset[str] | None = None
    built_in: frozenset[str] = frozenset()
    dkms: Mapping[str, frozenset[str]] = field(default_factory=dict)
    loaded_outside: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict)
    boot_free: int | None = None
    boot_needed: int = 0
    secure_boot: bool = False
    trust: str = ""
    lockdown: str = "none"
    interrupted: bool = False

    @property
    def installed(self) -> bool:
        """Whether all packages and the image are there, whole."""
        return self.image_whole and all(one.known and not one.damaged for one in self.packages)


def read(sysfs: Sysfs, run: Run, manifest: Mapping[str, Any], lists: bool = True) -> Facts:
    """Read the facts; ``manifest`` is one that `kernel_manifest.read` gave.

    ``lists``: whether initrds are listed, which takes longest.
    """
    running, release = sysfs.read(RELEASE), str(manifest["release"])
    architecture = _answer(run, ["dpkg", "--print-architecture"])
    image = str(manifest["image"]["file"])
    after, before = (_existing(sysfs, f"/boot/initrd.img-{one}") for one in (release, running))
    loaded = frozenset(line.split()[0] for line in _lines(sysfs, "/proc/modules"))
    return Facts(
        running=running,
        architecture=architecture,
        packages=tuple(_package(sysfs, run, one, architecture) for one in manifest["packages"]),
        image_whole=_sha256(sysfs.real(image)) == manifest["image"]["sha256"],
        image_signed=_signed(sysfs.real(image)),
        initrd=after,
        initrd_before=before,
        listing=initrd.listing(sysfs, run, after) if after and lists else None,
        listing_before=initrd.listing(sysfs, run, before) if before and lists else None,
        root=stack.root(sysfs),
        uplinks=stack.uplinks(sysfs),
        mounts=mounts.read(sysfs),
        here=loaded | (kernel_modules.available(sysfs, running) or frozenset()),
        available=kernel_modules.available(sysfs, release),
        built_in=_built_in(sysfs, release),
        dkms=outside.dkms(run),
        loaded_outside=outside.loaded_from_outside(sysfs, running),
        outside=outside.outside(sysfs, release),
        boot_free=_free(sysfs.real("/boot")),
        boot_needed=_needed(sysfs, running),
        secure_boot=_secure_boot(sysfs),
        trust=trust.judge(sysfs, image) if _secure_boot(sysfs) else "",
        lockdown=kexec_rules.read(sysfs).lockdown,
        interrupted=any(name.isdigit() for name in sysfs.names(UPDATES)) or _half(run),
    )


def _package(sysfs: Sysfs, run: Run, entry: Mapping[str, Any], architecture: str) -> Package:
    name = str(entry["name"])
    version, status = files.status(run, name)
    damaged = files.damaged(sysfs, name, architecture) if status == "installed" else []
    return Package(name, str(entry["version"]), version, status, tuple(damaged))


def _half(run: Run) -> bool:
    """Whether some package is installed in part (dpkg-query(1))."""
    text = _answer(run, ["dpkg-query", "--show", "--showformat=${db:Status-Status}\n"])
    return bool(set(text.split()) & HALF)


def _answer(run: Run, argv: list[str]) -> str:
    try:
        return run(argv).strip()
    except ToolError:
        return ""


def _lines(sysfs: Sysfs, path: str) -> list[str]:
    try:
        return [line for line in sysfs.read(path).splitlines() if line.strip()]
    except KernelError:
        return []


def _built_in(sysfs: Sysfs, release: str) -> frozenset[str]:
    return frozenset(outside.name_of(path) for path in _lines(sysfs, f"/lib/modules/{release}/modules.builtin"))


def _existing(sysfs: Sysfs, path: str) -> str | None:
    """The path of a file that is there and not empty."""
    return path if _size(sysfs.real(path)) else None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def _signed(path: str) -> bool | None:
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(-min(len(head), kexec_rules.MARK_BYTES), os.SEEK_END)
            return kexec_rules.is_signed(head, file.read())
    except OSError:
        return None


def _free(folder: str) -> int | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _needed(sysfs: Sysfs, running: str) -> int:
    """Bytes on /boot, by what the running kernel takes there.

    update-initramfs writes the initrd beside its place; a third more is for a larger one.
    """
    kernel = sum(_size(sysfs.real("/boot/" + name.format(running))) for name in BOOT_FILES)
    return (kernel + 2 * _size(sysfs.real(f"/boot/initrd.img-{running}"))) * 4 // 3


def _secure_boot(sysfs: Sysfs) -> bool:
    try:
        return sysfs.read_bytes(SECURE_BOOT, 5)[4:5] == b"\1"
    except KernelError:
        return False
