# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots with a real grub.cfg, and disks for the real GRUB.

grub-mkconfig of this machine runs in a mount namespace of its own, with the root's `/boot`, `/etc/default` and
`/etc/grub.d`. Played: grub-probe and grub-mkrelpath, which would look at this machine's disks.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs

from . import kernel, zfs
from .layers import LAYERS
from .loader_files import MKFS_BTRFS

UUID = "11111111-2222-4333-8444-555555555555"
OLD, NEW = "6.1.0-18-amd64", "6.12.9-kvmfleet1"
ADVANCED = f"gnulinux-advanced-{UUID}"
SIMPLE = f"gnulinux-simple-{UUID}"
MODULES = Path("/usr/lib/grub/i386-pc")
CORE = (
    "biosdisk", "ext2", "normal", "linux", "loadenv", "regexp", "test", "echo", "minicmd", "search", "search_fs_uuid",
    "gzio", "part_msdos", "part_gpt", "configfile", "gfxterm", "all_video", "true", "sleep", "serial", "terminal",
)  # fmt: skip
SIZE = 16 << 20
TOOLS = ("grub-mkconfig", "grub-mkimage", "grub-editenv", "mke2fs", "qemu-system-x86_64", "unshare")
WRITTEN: dict[str, str] = {}
"""What grub-mkconfig has written, by what it reads."""

PROBE = f"""#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in -t) target=$2; shift;; --target=*) target=${{1#--target=}};; esac
  shift
done
case $target in
  device) echo /dev/vdb;; fs_uuid) echo {UUID};; fs) echo ext2;; drive) echo '(hd1)';; compatibility_hint) echo hd1;;
  hints_string) echo --hint-bios=hd1;;
esac
"""
FIRMWARE_ENTRY = """#!/bin/sh
cat <<'END'
if [ "$grub_platform" = "efi" ]; then
	fwsetup --is-supported
	if [ "$?" = 0 ]; then
		menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
			fwsetup
		}
	fi
fi
END
"""
"""What 30_uefi-firmware is on Debian 13.

It leaves to the boot what Debian 12's decides itself.
"""
HIDE = """set -e
mount --bind "$1/boot" /boot
mount --bind "$1/etc/default" /etc/default
mount --bind "$1/etc/grub.d" /etc/grub.d
mount --bind "$1/grub-probe" /usr/sbin/grub-probe
mount --bind "$1/grub-mkrelpath" /usr/bin/grub-mkrelpath
shift
exec "$@"
"""


def entry(release: str) -> str:
    """The path of an entry, as `grub-set-default` takes it."""
    return f"{ADVANCED}>gnulinux-{release}-advanced-{UUID}"


def missing() -> list[str]:
    """Programs and files that this machine lacks for it."""
    lacking = [name for name in TOOLS if shutil.which(name) is None]
    return lacking + ([] if (MODULES / "boot.img").exists() else [str(MODULES)])


@dataclass
class GrubRoot:
    """A folder with what a Debian root has of GRUB."""

    folder: Path
    cut: Callable[[], object] = lambda: None
    """Called where the power may be cut within grub-mkconfig."""

    @classmethod
    def make(cls, folder: Path, *releases: str) -> GrubRoot:
        root = cls(folder)
        for name in ("boot/grub", "etc/default/grub.d"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copytree("/etc/grub.d", folder / "etc/grub.d")
        (folder / "grub-probe").write_text(PROBE)
        (folder / "grub-mkrelpath").write_text('#!/bin/sh\necho "$1"\n')
        for name in ("grub-probe", "grub-mkrelpath"):
            (folder / name).chmod(0o755)
        (folder / "etc/default/grub").write_text("")
        for release in releases or (OLD, NEW):
            root.install(release)
        return root

    def install(self, release: str) -> None:
        (self.folder / f"boot/vmlinuz-{release}").write_bytes(kernel.image(release))
        (self.folder / f"boot/initrd.img-{release}").write_bytes(b"initrd")

    def settings(self, text: str, file: str = "etc/default/grub") -> None:
        """Write settings of grub-mkconfig, with a menu that does not wait."""
        (self.folder / file).write_text(text)

    def firmware_entry(self) -> None:
        """Have grub-mkconfig write the firmware's entry as Debian 13 does."""
        (self.folder / "etc/grub.d/30_uefi-firmware").write_text(FIRMWARE_ENTRY)

    def on_zfs(self) -> None:
        """Have GRUB's tools say that /boot is on ZFS."""
        (self.folder / "grub-probe").write_text(
            PROBE.replace("fs) echo ext2;;", f"fs) echo zfs;; fs_label) echo {zfs.POOL};;")
        )
        (self.folder / "grub-mkrelpath").write_text(f'#!/bin/sh\necho "{zfs.inside("$1")}"\n')

    def within(self, argv: Sequence[str]) -> str:
        """Run a program of GRUB as on the root's own machine."""
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", HIDE, "sh", str(self.folder), *argv], capture_output=True, text=True
        )
        if done.returncode != 0:
            raise AssertionError(f"{argv}: {done.stderr}")
        return done.stdout

    def update(self) -> str:
        """Write grub.cfg, as `update-grub` does; returns it."""
        text = self.mkconfig()
        (self.folder / "boot/grub/grub.cfg").write_text(text)
        return text

    def mkconfig(self) -> str:
        """What the real grub-mkconfig writes.

        The same settings and kernels give the same, once a process.
        """
        files = sorted(path for path in (self.folder / "etc").rglob("*") if path.is_file() and path.name != "fstab")
        names = sorted(path.name for path in (self.folder / "boot").iterdir())
        tools = [(self.folder / name).read_text() for name in ("grub-probe", "grub-mkrelpath")]
        key = repr([names, tools, [(str(path.relative_to(self.folder)), path.read_bytes()) for path in files]])
        if key not in WRITTEN:
            WRITTEN[key] = self.within(["grub-mkconfig"])
        return WRITTEN[key]

    def host(self, running: str = OLD, bootloader: int = 114, kind: str = "ext4", device: str = "vdb") -> Sysfs:
        """The root as a host, on its second disk without partitions.

        ``bootloader``: the running kernel's bootloader_type, 114 for GRUB and 208 for kexec.
        """
        device_number, source = ("0:27", f"{zfs.POOL}/{zfs.DATASET}") if kind == "zfs" else ("254:16", f"/dev/{device}")
        files = {
            "proc/self/mountinfo": f"1 0 {device_number} / / rw - {kind} {source} rw",
            "etc/fstab": f"UUID={UUID} / {kind} rw 0 1",
            "proc/sys/kernel/osrelease": running,
            "proc/sys/kernel/version": kernel.version(running),
            "proc/sys/kernel/bootloader_type": str(bootloader),
            "proc/cmdline": f"BOOT_IMAGE=/boot/vmlinuz-{running} root=UUID={UUID} root=/dev/vdb ro quiet",
        }
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text + "\n")
        links = ((f"dev/disk/by-uuid/{UUID}", f"../../{device}"), ("sys/dev/block/254:16", f"../../block/{device}"))
        for name, target in links:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).unlink(missing_ok=True)
            (self.folder / name).symlink_to(target)
        for number, disk in enumerate(("vda", "vdb")):
            (self.folder / "sys/block" / disk).mkdir(parents=True, exist_ok=True)
            sector = (MODULES / "boot.img").read_bytes() if number == 0 and MODULES.exists() else bytes(512)
            (self.folder / "dev" / disk).write_bytes(sector)
        return Sysfs(str(self.folder))

    def run(self, argv: Sequence[str]) -> str:
        """Programs as on the host.

        Grub-mkconfig with the root's files, the others as they are.
        """
        if argv[0] != "grub-mkconfig":
            return process.run(argv)
        if argv[1:2] == ["-o"]:
            target = Path(argv[2])
            target.write_text("")  # as it does, before it writes
            self.cut()
            target.write_text(self.mkconfig())
            return ""
        return self.mkconfig()

    def environment(self, *settings: str) -> None:
        """Write the environment block anew."""
        block = self.folder / "boot/grub/grubenv"
        block.unlink(missing_ok=True)
        subprocess.run(["grub-editenv", block, "create"], check=True)
        if settings:
            subprocess.run(["grub-editenv", block, "set", *settings], check=True)

    def disk(self, kind: str = "ext4") -> Disk:
        """A disk with this root, beside one with GRUB alone.

        ``kind``: ext4, btrfs or zfs, or ext4 on lvm or md.
        """
        core, boot, image = (self.folder / name for name in ("core.img", "boot.raw", "root.raw"))
        layer = LAYERS[kind](SIZE)
        words = [
            "-O",
            "i386-pc",
            "-d",
            str(MODULES),
            "-p",
            f"({layer.device}){layer.inside}/boot/grub",
            "-o",
            str(core),
        ]
        subprocess.run(["grub-mkimage", *words, *CORE, *layer.modules], check=True)
        boot.write_bytes(((MODULES / "boot.img").read_bytes() + core.read_bytes()).ljust(1 << 20, b"\0"))
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(self.folder / "boot", tree / "boot")
        image.unlink(missing_ok=True)
        if kind == "zfs":
            zfs.write(tree, image)
        elif kind == "btrfs":
            with image.open("wb") as file:
                file.truncate(128 << 20)
            subprocess.run([str(MKFS_BTRFS), "-q", "-U", UUID, "-r", str(tree), str(image)], check=True)
        else:
            options = ["-q", "-t", "ext4", "-O", "^metadata_csum", "-U", UUID, "-d", str(tree)]
            subprocess.run(["mke2fs", *options, str(image), f"{SIZE >> 20}M"], check=True)
            image.write_bytes(layer.head + image.read_bytes())
        return Disk(boot, image)


@dataclass(frozen=True)
class Disk:
    """Disks of a machine that does nothing but boot."""

    boot: Path
    image: Path

    def start(self, read_only: bool = False) -> str:
        """The release of the kernel that the real GRUB starts.

        The disk keeps what GRUB writes, or refuses it.
        """
        return self.boots(read_only)[0]

    def boots(self, read_only: bool = False) -> tuple[str, str]:
        """Release and command line of the kernel that GRUB starts."""
        drives = [f"file={self.boot},format=raw,if=none,id=d0", f"file={self.image},format=raw,if=none,id=d1"]
        devices = ["ide-hd,drive=d0,bootindex=0", f"{'virtio-blk-pci' if read_only else 'ide-hd'},drive=d1,bootindex=1"]
        drives[1] += ",readonly=on" if read_only else ""
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-m", "64", "-nodefaults", "-display", "none"]
        argv += ["-serial", "stdio", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        argv += [word for drive in drives for word in ("-drive", drive)]
        argv += [word for device in devices for word in ("-device", device)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=90)
        text = done.stdout.decode(errors="replace")
        match = re.search(r"started (\S+)\s+with (.*)", text)
        if match is None:
            raise AssertionError(f"GRUB started nothing: {text[-500:]} {done.stderr.decode()[-500:]}")
        return match.group(1), match.group(2).strip()
