# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a kernel before it is installed or boots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import files, initrd, outside, trust
from .facts import HEADERS, Facts

MIB = 1 << 20
GUIDE = "docs/deploying_the_kernel.md#sign"
ENROL = (
    f"enrol its certificate: mokutil --import CERTIFICATE.der, then confirm at the console at the next boot ({GUIDE})"
)
SIGN = (
    f"build it with kernel_build_sign_key, and enrol the certificate ({GUIDE}); or switch Secure Boot or lockdown off"
)


@dataclass(frozen=True)
class Problem:
    """A reason not to go on, and what to do."""

    code: str
    problem: str
    fix: str


def before_install(facts: Facts, manifest: Mapping[str, Any]) -> list[Problem]:
    """Reasons not to install a kernel."""
    return [*_architecture(facts, manifest), *_space(facts), *_headers(facts, manifest)]


def before_boot(facts: Facts, manifest: Mapping[str, Any]) -> list[Problem]:
    """Reasons not to boot an installed kernel."""
    return [
        *_files(facts, manifest), *_initrd(facts, manifest), *_root(facts, manifest), *_uplinks(facts, manifest),
        *_mounts(facts, manifest), *_outside(facts, manifest), *_signature(facts, manifest),
    ]  # fmt: skip


def _architecture(facts: Facts, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    wanted = manifest["architecture"]
    if wanted and facts.architecture and wanted != facts.architecture:
        problem = f"the kernel is built for {wanted}, the host is {facts.architecture}"
        yield Problem("architecture", problem, f"build it for {facts.architecture}")


def _space(facts: Facts) -> Iterator[Problem]:
    if facts.boot_free is not None and facts.boot_free < facts.boot_needed:
        problem = (
            f"/boot has {facts.boot_free // MIB} MiB left; a kernel and its initrd take about"
            f" {-(-facts.boot_needed // MIB)} MiB, by those of {facts.running}"
        )
        yield Problem(
            "space", problem, "remove kernels that are not needed any more: apt list --installed 'linux-image-*'"
        )


def _headers(facts: Facts, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """Modules from outside need headers, unless the new kernel has them already."""
    lacking = _lacking(facts, manifest)
    if lacking and not any(package["name"].startswith(HEADERS) for package in manifest["packages"]):
        problem = (
            f"the running kernel has modules from outside, and no headers come with the new one: {', '.join(lacking)}"
        )
        yield Problem("headers", problem, "build with kernel_build_headers: true")


def _files(facts: Facts, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    again = "run the playbook again, which installs it again"
    for package in facts.packages:
        if not package.known:
            found = f"{package.version} {package.status}".strip() or "not there"
            yield Problem("package", f"package {package.name} {package.wanted} is wanted, dpkg has: {found}", again)
        elif package.damaged:
            words = files.in_words(list(package.damaged))
            yield Problem("damaged", f"files of package {package.name} are not as packed: {words}", again)
    if not facts.image_whole:
        problem = f"{manifest['image']['file']} does not have the checksum {manifest['image']['sha256']}"
        yield Problem("image", problem, again)


def _initrd(facts: Facts, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    make = f"update-initramfs -c -k {manifest['release']}"
    if facts.initrd_before and not facts.initrd:
        problem = (
            f"/boot/initrd.img-{manifest['release']} is missing or empty, the running kernel has {facts.initrd_before}"
        )
        yield Problem("initrd", problem, make)
    elif facts.initrd and facts.initrd_before and not (facts.listing and facts.listing_before):
        unread = facts.initrd_before if facts.listing else facts.initrd
        problem = f"{unread} cannot be listed, so what is in it is not known"
        yield Problem(
            "initrd-unread", problem, "apt install initramfs-tools-core (lsinitramfs), or make it again: " + make
        )
    elif facts.listing and facts.listing_before:
        for what, why in initrd.missing(facts.root, facts.listing_before, facts.listing, facts.built_in):
            problem = f"{facts.initrd} has not {what}, which {facts.initrd_before} has, {why}"
            yield Problem("initrd-contents", problem, f"then {make}")


def _root(facts: Facts, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """Without an initrd nobody loads a module before the root is mounted."""
    if facts.initrd or facts.initrd_before:
        return
    for module, user in sorted(facts.root.modules.items()):
        if module in (facts.available or frozenset()) and module not in facts.built_in:
            problem = f"kernel {manifest['release']} has {module}, which {user} needs, as a module, and no initrd"
            yield Problem("root", problem, f"build it in, or update-initramfs -c -k {manifest['release']}")


def _uplinks(facts: Facts, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    have = (facts.available or frozenset()) | facts.built_in
    for module, user in sorted(facts.uplinks.modules.items()):
        if module in facts.here and module not in have:
            problem = f"kernel {manifest['release']} has no module {module}, which {user} needs, an uplink"
            yield Problem("uplink", problem, "build a kernel with it, or its driver from outside (DKMS)")


def _mounts(facts: Facts, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    have = (facts.available or frozenset()) | facts.built_in
    for module, user in sorted(facts.mounts.modules.items()):
        if module in facts.here and module not in have:
            problem = f"kernel {manifest['release']} has no module {module}, which {user} needs at each boot"
            yield Problem("mount", problem, "build a kernel with it, or mount it with nofail in /etc/fstab")


def _lacking(facts: Facts, manifest: Mapping[str, Any]) -> list[str]:
    """Modules from outside that only the running kernel has."""
    names = outside.lacking(facts.dkms, facts.running, manifest["release"])
    others = [name for name in facts.loaded_outside if name not in facts.outside]
    return [
        *(f"{name} (DKMS)" for name in names),
        *(f"{name} ({facts.loaded_outside[name]})" for name in sorted(others)),
    ]


def _outside(facts: Facts, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    lacking = _lacking(facts, manifest)
    if lacking:
        problem = f"kernel {manifest['release']} lacks modules from outside that run now: {', '.join(lacking)}"
        yield Problem(
            "modules-outside",
            problem,
            f"dkms autoinstall -k {manifest['release']}, or install the vendor's package for it",
        )


def _signature(facts: Facts, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    image = manifest["image"]["file"]
    if facts.secure_boot and facts.trust not in (trust.TRUSTED, trust.OFF):
        yield from _secure_boot(facts, image)
    elif facts.image_signed is False and facts.lockdown != "none":
        problem = (
            f"the running kernel is locked down ({facts.lockdown}), and {image} is not signed: kexec would be refused"
        )
        yield Problem("unsigned", problem, SIGN)


def _secure_boot(facts: Facts, image: str) -> Iterator[Problem]:
    on = "Secure Boot is on, and"
    if facts.trust == trust.REVOKED:
        problem = f"{on} {image} or the key that signed it is revoked (dbx, MokListX)"
        yield Problem("revoked", problem, "build it again with another key in kernel_build_sign_key")
    elif facts.image_signed is False:
        yield Problem("unsigned", f"{on} {image} is not signed: the firmware would not start it", SIGN)
    elif facts.trust == trust.UNTRUSTED:
        problem = f"{on} {image} is signed with a key that neither the firmware (db) nor shim (MokList) trusts"
        yield Problem("untrusted", problem, ENROL)
