"""The first disk of a host, with GRUB.

GRUB finds kernels and settings on the second disk, the root file system. Written without loop devices: boot.img is the
first sector, core.img follows it (GRUB manual, "BIOS installation").
"""

from __future__ import annotations

from pathlib import Path

from ..paths import cache, key
from ..progress import run

GRUB = Path("/usr/lib/grub/i386-pc")
MODULES = (
    "biosdisk", "ext2", "normal", "linux", "loadenv", "serial", "terminal", "regexp", "test", "echo", "minicmd",
    "search", "search_fs_uuid", "gzio", "part_msdos", "part_gpt", "configfile", "all_video", "true", "sleep",
)  # fmt: skip
"""All that a grub.cfg of grub-mkconfig takes.

The root file system has no modules of GRUB.
"""
PREFIX = "(hd1)/boot/grub"


def build() -> Path:
    """The boot disk (raw, 1 MiB), the same for all hosts."""
    folder = cache() / "bootdisk" / key([Path(__file__).read_bytes(), (GRUB / "boot.img").read_bytes()])
    disk = folder / "boot.raw"
    if not disk.exists():
        folder.mkdir(parents=True, exist_ok=True)
        core = folder / "core.img"
        run(["grub-mkimage", "-O", "i386-pc", "-d", GRUB, "-p", PREFIX, "-o", core, *MODULES])
        data = (GRUB / "boot.img").read_bytes() + core.read_bytes()
        scratch = folder / "boot.tmp"
        scratch.write_bytes(data.ljust(1 << 20, b"\0"))
        scratch.rename(disk)
    return disk
