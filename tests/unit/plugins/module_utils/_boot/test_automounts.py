# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot folders that systemd mounts at their first use.

Played: the kernel's list of mounts. Idle ones are unmounted, and a use of what is in the folder mounts
them again; the last name of a path is looked up without mounting there (fs/namei.c, LOOKUP_AUTOMOUNT).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import loaders, volume
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.unknown import UnknownBootError
from tests.fake.boot.efi import PART, EfiHost

AUTOMATIC = "{number} 1 0:{number} / {place} rw - autofs systemd-1 rw,fd=41,timeout=120,direct\n"
RELEASE = "6.1.0-18-amd64"
MOUNTED = {
    "/boot": "50 40 8:3 / /boot rw - ext4 /dev/sda3 rw\n",
    "/boot/efi": "51 41 8:1 / /boot/efi rw - vfat /dev/sda1 rw\n",
}


@pytest.fixture
def host(tmp_path: Path) -> EfiHost:
    made = EfiHost.make(tmp_path, r"\EFI\systemd\systemd-bootx64.efi")
    made.variable("LoaderInfo", "systemd-boot 252.38-1~deb12u1")
    made.variable("LoaderDevicePartUUID", PART.upper())
    made.kernel(RELEASE)
    (tmp_path / "sys/dev/block/8:3").symlink_to("../../block/sda/sda3")
    return made


Idle = Callable[..., list[str]]


@pytest.fixture
def idle(host: EfiHost, monkeypatch: pytest.MonkeyPatch) -> Idle:
    """Have folders wait for a use; returns what was used."""
    table = host.folder / "proc/self/mountinfo"
    exists = os.path.exists
    used: list[str] = []

    def use(path: str) -> bool:
        place = str(path).removeprefix(str(host.folder)).removesuffix("/.")
        if str(path).endswith("/.") and f" {place} rw - autofs" in table.read_text():
            used.append(place)
            table.write_text(table.read_text() + waiting.pop(place, ""))
        return exists(path)

    waiting: dict[str, str] = {}

    def make(*places: str, broken: bool = False) -> list[str]:
        rows = [AUTOMATIC.format(number=40 + number, place=place) for number, place in enumerate(places)]
        table.write_text("1 0 8:2 / / rw - ext4 /dev/sda2 rw\n" + "".join(rows))
        waiting.update({} if broken else {place: MOUNTED[place] for place in places})
        return used

    monkeypatch.setattr(os.path, "exists", use)
    return make


@pytest.mark.parametrize("places", [("/boot/efi",), ("/boot", "/boot/efi")])
@pytest.mark.parametrize("table", ["", "UUID=CAFE-0001 /boot/efi vfat noauto,x-systemd.automount 0 2\n"])
def test_what_is_idle_is_used_before_it_is_judged(
    host: EfiHost, idle: Idle, places: tuple[str, ...], table: str
) -> None:
    host.write("etc/fstab", table)
    host.write("boot/efi/loader/loader.conf", f"default m-{RELEASE}.conf\n")
    used = idle(*places)
    assert loaders.find(host.sysfs, host.run).answer().default.pinned
    assert used == list(places)


def test_a_folder_that_is_mounted_is_left_alone(host: EfiHost, idle: Idle) -> None:
    used = idle("/boot")
    for _again in range(2):
        found = volume.volume_of(host.sysfs, "/boot/grub")
        assert (found.kind, found.device, used) == ("ext4", "sda3", ["/boot"])
    assert volume.mount_of(host.sysfs, "sda3") == "/boot"


def test_one_that_cannot_be_mounted_is_not_mounted(host: EfiHost, idle: Idle) -> None:
    """Its automount is no file system."""
    idle("/boot/efi", broken=True)
    with pytest.raises(UnknownBootError, match="/boot/efi is mounted at its first use, and using it mounted nothing"):
        loaders.find(host.sysfs, host.run).answer()
