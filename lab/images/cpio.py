"""A cpio archive (newc) of plain files and folders: an initrd.

Byte for byte the same for the same input. Format: Documentation/driver-api/early-userspace/buffer-format.rst in the
kernel source.
"""

from __future__ import annotations

import gzip


class Archive:
    """Collects entries; ``gzip()`` gives the finished archive."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._count = 0
        self._folders: set[str] = set()

    def folder(self, name: str) -> None:
        if name and name not in self._folders:
            self._folders.add(name)
            self._entry(name, 0o040755, b"")

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            self.folder("/".join(parts[:depth]))
        self._entry(name, 0o100000 | mode, data)

    def link(self, name: str, target: str) -> None:
        self._entry(name, 0o120777, target.encode())

    def gzip(self) -> bytes:
        end = Archive()
        end._count = self._count
        end._entry("TRAILER!!!", 0, b"")
        return gzip.compress(bytes(self._data + end._data), compresslevel=6, mtime=0)

    def _entry(self, name: str, mode: int, data: bytes) -> None:
        self._count += 1
        fields = [self._count, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        self._data += b"070701" + b"".join(f"{field:08x}".encode() for field in fields) + name.encode() + b"\0"
        self._data += b"\0" * (-len(self._data) % 4)
        self._data += data
        self._data += b"\0" * (-len(self._data) % 4)
