# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ESPs of proxmox-boot-tool, and the tool.

It does to the ESPs what zz-proxmox-boot and `functions` of proxmox-kernel-helper do; ESPs are folders below `esps/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import esp_child
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.efi import LOADER
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs

from . import kernel
from .efi import PART, EfiHost

FIRST, SECOND = "AAAA-0001", "BBBB-0002"
PIN, NEXT_PIN = "etc/kernel/proxmox-boot-pin", "etc/kernel/next-boot-pin"
GRUB_CFG = """load_env
set default="{default}"
set timeout=5
submenu 'Advanced' --id gnulinux-advanced-R {{
{entries}}}
"""
GRUB_ENTRY = """menuentry 'x, with Linux {release}' --id gnulinux-{release}-advanced-R {{
search --no-floppy --fs-uuid --set=root {uuid}
linux /vmlinuz-{release} root=ZFS=rpool/ROOT
initrd /initrd.img-{release}
}}
"""


@dataclass
class ProxmoxHost:
    """A host with two ESPs, which are not mounted.

    ``grub``: what the ESPs have, systemd-boot else; ``skipped``: ESPs that the tool cannot write.
    """

    efi: EfiHost
    grub: bool = False
    skipped: tuple[str, ...] = ()

    @classmethod
    def make(cls, folder: Path, *releases: str, grub: bool = False) -> ProxmoxHost:
        host = cls(
            EfiHost.make(folder, r"\EFI\proxmox\grubx64.efi" if grub else r"\EFI\systemd\systemd-bootx64.efi"), grub
        )
        host.efi.write("etc/kernel/proxmox-boot-uuids", f"{FIRST}\n{SECOND}\n")
        for uuid, device in ((FIRST, "sda1"), (SECOND, "sdb1")):
            (folder / f"dev/disk/by-uuid/{uuid}").symlink_to(f"../../{device}")
            (folder / "esps" / uuid / ("grub" if grub else "loader/entries")).mkdir(parents=True)
            if grub:
                host.efi.write(f"esps/{uuid}/EFI/proxmox/grubx64.efi", "x")
            else:
                host.efi.write(f"esps/{uuid}/loader/loader.conf", "timeout 3\ndefault proxmox-*\n")
        host.efi.write("proc/self/mountinfo", "1 0 8:2 / / rw - ext4 /dev/sda2 rw\n")
        if not grub:
            host.efi.variable("LoaderInfo", "systemd-boot 252")
            host.efi.variable("LoaderDevicePartUUID", PART)
        for release in releases:
            host.efi.write(f"boot/vmlinuz-{release}", kernel.image(release))
            host.efi.write(f"boot/initrd.img-{release}", "initrd")
        host.refresh()
        return host

    @property
    def folder(self) -> Path:
        return self.efi.folder

    @property
    def sysfs(self) -> Sysfs:
        return self.efi.sysfs

    def run(self, argv: Sequence[str]) -> str:
        self.efi.calls.append(list(argv))
        if argv[0] == "unshare":
            device, target = argv[-2:]
            uuid = {"/dev/sda1": FIRST, "/dev/sdb1": SECOND}[device]
            esp_child.copy(str(self.folder / "esps" / uuid), target)
            return ""
        if argv[0] == "bootctl" and argv[1] == "set-oneshot":
            path = self.folder / f"sys/firmware/efi/efivars/LoaderEntryOneShot-{LOADER}"
            if argv[2]:
                self.efi.variable("LoaderEntryOneShot", argv[2])
            else:
                path.unlink(missing_ok=True)
            return ""
        if argv[0] != "proxmox-boot-tool":
            raise ToolError(argv, 127, "not played")
        return self._tool(list(argv[1:]))

    def _tool(self, words: list[str]) -> str:
        pin = self.folder / (NEXT_PIN if "--next-boot" in words else PIN)
        if words[:2] == ["kernel", "pin"]:
            if not (self.folder / f"boot/vmlinuz-{words[2]}").exists():
                raise ToolError(words, 1, f"E: no kernel image found in /boot for '{words[2]}', not setting default.")
            pin.write_text(words[2] + "\n")
        elif words[:2] == ["kernel", "unpin"]:
            (self.folder / NEXT_PIN).unlink(missing_ok=True)
            pin.unlink(missing_ok=True)
        elif words == ["refresh"]:
            self.refresh()
        return ""

    def refresh(self) -> None:
        """Write the ESPs.

        One that cannot be mounted is skipped, with a warning alone.
        """
        pins = [self.folder / name for name in (NEXT_PIN, PIN)]
        pinned = next((path.read_text().strip() for path in pins if path.exists()), None)
        for uuid in (FIRST, SECOND):
            if uuid not in self.skipped:
                (self._grub if self.grub else self._systemd_boot)(uuid, pinned)

    def releases(self) -> list[str]:
        return sorted(path.name[len("vmlinuz-") :] for path in (self.folder / "boot").glob("vmlinuz-*"))

    def _copy(self, release: str, folder: str) -> None:
        for name in (f"vmlinuz-{release}", f"initrd.img-{release}"):
            self.efi.write(f"{folder}/{name}", (self.folder / "boot" / name).read_bytes())

    def _systemd_boot(self, uuid: str, pinned: str | None) -> None:
        for release in self.releases():
            inner = f"EFI/proxmox/{release}"
            self._copy(release, f"esps/{uuid}/{inner}")
            self.efi.write(
                f"esps/{uuid}/loader/entries/proxmox-{release}.conf",
                f"title    Proxmox Virtual Environment\nversion  {release}\noptions  root=ZFS=rpool/ROOT boot=zfs\n"
                f"linux    /{inner}/vmlinuz-{release}\ninitrd   /{inner}/initrd.img-{release}\n",
            )
        default = f"proxmox-{pinned}.conf" if pinned else "proxmox-*"
        self.efi.write(f"esps/{uuid}/loader/loader.conf", f"timeout 3\ndefault {default}\n")

    def _grub(self, uuid: str, pinned: str | None) -> None:
        entries = "".join(GRUB_ENTRY.format(release=one, uuid=uuid) for one in reversed(self.releases()))
        for release in self.releases():
            self._copy(release, f"esps/{uuid}")
        default = f"gnulinux-advanced-R>gnulinux-{pinned}-advanced-R" if pinned else "0"
        self.efi.write(f"esps/{uuid}/grub/grub.cfg", GRUB_CFG.format(default=default, entries=entries))
