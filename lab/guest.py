"""The nested guest's initramfs: busybox and one script."""

from __future__ import annotations

from pathlib import Path

from .cpio import Archive
from .paths import HERE, cache, key

BUSYBOX = Path("/bin/busybox")


def build() -> Path:
    """A gzipped cpio of about 1 MB."""
    parts = [
        Path(__file__).read_bytes(),
        (HERE / "cpio.py").read_bytes(),
        (HERE / "guest-init.sh").read_bytes(),
        BUSYBOX.read_bytes(),
    ]
    initrd = cache() / "guest" / key(parts) / "initrd.gz"
    if not initrd.exists():
        archive = Archive()
        archive.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
        archive.file("init", (HERE / "guest-init.sh").read_bytes(), 0o755)
        for folder in ("dev", "proc", "sys"):
            archive.folder(folder)
        initrd.parent.mkdir(parents=True, exist_ok=True)
        scratch = initrd.with_suffix(".tmp")
        scratch.write_bytes(archive.gzip())
        scratch.rename(initrd)
    return initrd
