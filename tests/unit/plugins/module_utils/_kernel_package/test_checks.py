# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a kernel before it is installed or boots."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_package import checks
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_package.facts import Facts, Package
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_package.initrd import Listing
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_package.stack import Stack

OLD, NEW = "6.1.0-18-amd64", "6.12.9-kvmfleet1"
IMAGE = Package(f"linux-image-{NEW}", "1", "1", "installed")
HEADERS = {"name": f"linux-headers-{NEW}"}
MANIFEST: dict[str, Any] = {
    "release": NEW, "architecture": "amd64", "image": {"file": f"/boot/vmlinuz-{NEW}", "sha256": "a" * 64},
    "packages": [{"name": f"linux-image-{NEW}"}],
}  # fmt: skip
LISTING = Listing(frozenset({"nvme", "dm_mod", "ext4"}), frozenset({"lvm"}))
GOOD = Facts(
    running=OLD, architecture="amd64", packages=(IMAGE,), image_whole=True, image_signed=False,
    initrd=f"/boot/initrd.img-{NEW}", initrd_before=f"/boot/initrd.img-{OLD}", listing=LISTING, listing_before=LISTING,
    root=Stack({"lvm"}, {"nvme": "block device nvme0n1", "ext4": "the root file system", "sd_mod": "x"}),
    mounts=Stack(set(), {"vfat": "the file system of /boot/efi"}),
    uplinks=Stack(set(), {"ixgbe": "interface eno1"}), here=frozenset({"ixgbe", "nvme"}),
    available=frozenset({"ixgbe", "nvme"}), boot_free=1 << 30, boot_needed=1 << 28,
)  # fmt: skip


def codes(problems: list[checks.Problem]) -> list[str]:
    assert all(one.fix for one in problems)
    return [one.code for one in problems]


INSTALL: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "good": ({}, {}, []),
    "other architecture": ({"architecture": "arm64"}, {}, ["architecture"]),
    "an old manifest says no architecture": ({"architecture": "arm64"}, {"architecture": ""}, []),
    "/boot is full": ({"boot_free": (1 << 28) - 1}, {}, ["space"]),
    "DKMS without headers": ({"dkms": {OLD: {"zfs"}}}, {}, ["headers"]),
    "DKMS with headers": ({"dkms": {OLD: {"zfs"}}}, {"packages": [*MANIFEST["packages"], HEADERS]}, []),
    "DKMS that is built already": ({"dkms": {OLD: {"zfs"}, NEW: {"zfs"}}}, {}, []),
    "DKMS for a kernel that does not run": ({"dkms": {"6.6": {"zfs"}}}, {}, []),
    "a vendor's driver": ({"loaded_outside": {"mlx5_core": "extra/mlx5_core.ko"}}, {}, ["headers"]),
}


@pytest.mark.parametrize(("facts", "manifest", "found"), INSTALL.values(), ids=INSTALL.keys())
def test_before_installing(facts: dict[str, Any], manifest: dict[str, Any], found: list[str]) -> None:
    assert codes(checks.before_install(replace(GOOD, **facts), {**MANIFEST, **manifest})) == found


NO_INITRD: dict[str, Any] = {"initrd": None, "listing": None, "initrd_before": None, "listing_before": None}
BOOT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "good": ({}, []),
    "not installed": ({"packages": (Package("a", "1"),)}, ["package"]),
    "half-configured": ({"packages": (replace(IMAGE, status="half-configured"),)}, ["package"]),
    "another version": ({"packages": (replace(IMAGE, version="0"),)}, ["package"]),
    "a damaged module": ({"packages": (replace(IMAGE, damaged=("/lib/modules/a.ko",)),)}, ["damaged"]),
    "another image": ({"image_whole": False}, ["image"]),
    "no initrd": ({"initrd": None, "listing": None}, ["initrd"]),
    "no initrd is used here": (NO_INITRD | {"built_in": frozenset({"nvme", "ext4"})}, []),
    "and the root's driver is a module": (NO_INITRD | {"built_in": frozenset({"ext4"})}, ["root"]),
    "an initrd that cannot be listed": ({"listing": None}, ["initrd-unread"]),
    "no lister": ({"listing": None, "listing_before": None}, ["initrd-unread"]),
    "a program of the root": ({"listing": replace(LISTING, programs=frozenset())}, ["initrd-contents"]),
    "a module of the root": ({"listing": replace(LISTING, modules=frozenset({"ext4"}))}, ["initrd-contents"]),
    "which is built in": (
        {"listing": replace(LISTING, modules=frozenset()), "built_in": frozenset({"nvme", "ext4"})}, [],
    ),
    "an uplink's driver": ({"available": frozenset({"nvme"})}, ["uplink"]),
    "an uplink's driver, built in": ({"available": None, "built_in": frozenset({"ixgbe"})}, []),
    "an uplink's driver that is no module anywhere": ({"available": frozenset(), "here": frozenset()}, []),
    "a file system of fstab": ({"here": frozenset({"ixgbe", "nvme", "vfat"})}, ["mount"]),
    "which is built in now": ({"here": frozenset({"vfat"}), "built_in": frozenset({"vfat"})}, []),
    "which was built in before": ({"here": frozenset({"ixgbe", "nvme"})}, []),
    "DKMS": ({"dkms": {OLD: {"zfs"}}}, ["modules-outside"]),
    "a vendor's driver": ({"loaded_outside": {"a": "extra/a.ko"}}, ["modules-outside"]),
    "a vendor's driver for both": ({"loaded_outside": {"a": "extra/a.ko"}, "outside": {"a": "updates/a.ko"}}, []),
    "Secure Boot": ({"secure_boot": True}, ["unsigned"]),
    "Secure Boot, signed": ({"secure_boot": True, "image_signed": True, "trust": "trusted"}, []),
    "Secure Boot, another key": ({"secure_boot": True, "image_signed": True, "trust": "untrusted"}, ["untrusted"]),
    "Secure Boot, revoked": ({"secure_boot": True, "image_signed": True, "trust": "revoked"}, ["revoked"]),
    "Secure Boot, revoked by its digest": ({"secure_boot": True, "trust": "revoked"}, ["revoked"]),
    "Secure Boot, unsigned and enrolled by its digest": ({"secure_boot": True, "trust": "trusted"}, []),
    "Secure Boot, and shim does not check": ({"secure_boot": True, "trust": "off"}, []),
    "that, and lockdown": ({"secure_boot": True, "trust": "off", "lockdown": "integrity"}, ["unsigned"]),
    "Secure Boot, an image that cannot be read": ({"secure_boot": True, "image_signed": None}, []),
    "lockdown": ({"lockdown": "integrity"}, ["unsigned"]),
    "all at once": (
        {"image_whole": False, "initrd": None, "dkms": {OLD: {"zfs"}}}, ["image", "initrd", "modules-outside"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("facts", "found"), BOOT.values(), ids=BOOT.keys())
def test_before_booting(facts: dict[str, Any], found: list[str]) -> None:
    assert codes(checks.before_boot(replace(GOOD, **facts), MANIFEST)) == found


def test_words() -> None:
    facts = replace(GOOD, listing=Listing(frozenset({"ext4", "nvme"}), frozenset()))
    (one,) = checks.before_boot(facts, MANIFEST)
    assert f"{one.problem}: {one.fix}" == (
        f"/boot/initrd.img-{NEW} has not the program lvm, which /boot/initrd.img-{OLD} has, for lvm: apt install lvm2:"
        f" then update-initramfs -c -k {NEW}"
    )
