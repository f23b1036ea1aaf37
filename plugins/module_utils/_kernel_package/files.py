# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of installed packages, against the checksums that dpkg keeps."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator

from .._model.errors import KernelError, ToolError
from .._system.process import Run
from .._system.sysfs import Sysfs

INFO = "/var/lib/dpkg/info"
LINE = re.compile(r"([0-9a-f]{32})  (\S.*)")
OPTIONAL = "usr/share/"
"""Folder whose files dpkg may be set to leave out (path-exclude, dpkg(1))."""
MADE_BY_DEPMOD = re.compile(
    r"(usr/)?lib/modules/[^/]+/modules\.(dep|alias|symbols|softdep|weakdep|devname|builtin\.alias|builtin)(\.bin)?"
)
"""Files that depmod(8) writes again for each new module.

modules.builtin itself is not one.
"""
SHOWN = 5


def status(run: Run, name: str) -> tuple[str, str]:
    """Version and status of a package.

    Both are empty when dpkg does not know it.
    """
    try:
        words = run(["dpkg-query", "--show", "--showformat=${Version} ${db:Status-Status}", "--", name]).split()
    except ToolError:
        return "", ""
    return (words[0], words[1]) if len(words) == 2 else ("", words[0] if words else "")


def damaged(sysfs: Sysfs, name: str, architecture: str = "") -> list[str]:
    """Files of a package that are missing or not as packed.

    Configuration files may differ, and so may what depmod writes. Empty for a package without checksums.
    """
    sums = _text(sysfs, f"{INFO}/{name}.md5sums") or _text(sysfs, f"{INFO}/{name}:{architecture}.md5sums")
    own = set(_text(sysfs, f"{INFO}/{name}.conffiles").splitlines())
    return [
        f"/{path}"
        for path, wanted in _rows(sums)
        if f"/{path}" not in own and not _made(path) and not _is_whole(sysfs.real(f"/{path}"), wanted, path)
    ]


def _made(path: str) -> bool:
    return MADE_BY_DEPMOD.fullmatch(path) is not None and not path.endswith("/modules.builtin")


def _rows(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if match:
            yield match.group(2), match.group(1)


def _is_whole(path: str, wanted: str, name: str) -> bool:
    digest = hashlib.md5(usedforsecurity=False)  # what dpkg keeps; the image has its SHA-256 besides
    try:
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except FileNotFoundError:
        return name.startswith(OPTIONAL)
    except OSError:
        return False
    return digest.hexdigest() == wanted


def _text(sysfs: Sysfs, path: str) -> str:
    try:
        return sysfs.read(path)
    except KernelError:
        return ""


def in_words(paths: list[str]) -> str:
    """Some paths, and how many more."""
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(os.path.normpath(path) for path in paths[:SHOWN]) + more
