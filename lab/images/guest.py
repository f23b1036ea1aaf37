"""The nested guest's initramfs: busybox and one script."""

from __future__ import annotations

from pathlib import Path

from ..paths import IMAGES, cache, key
from .cpio import Archive

BUSYBOX = Path("/bin/busybox")


def build() -> Path:
    """A gzipped cpio of about 1 MB."""
    parts = [
        Path(__file__).read_bytes(),
        (IMAGES / "cpio.py").read_bytes(),
        (IMAGES / "guest-init.sh").read_bytes(),
        BUSYBOX.read_bytes(),
    ]
    initrd = cache() / "guest" / key(parts) / "initrd.gz"
    if not initrd.exists():
        archive = Archive()
        archive.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
        archive.file("init", (IMAGES / "guest-init.sh").read_bytes(), 0o755)
        for folder in ("dev", "proc", "sys"):
            archive.folder(folder)
        initrd.parent.mkdir(parents=True, exist_ok=True)
        scratch = initrd.with_suffix(".tmp")
        scratch.write_bytes(archive.gzip())
        scratch.rename(initrd)
    return initrd
