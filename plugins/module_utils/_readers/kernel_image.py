# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel image says of itself."""

from __future__ import annotations

import re

HEAD_BYTES = 0x10000
"""Bytes of a bzImage that hold its header and version text."""


def image_release(head: bytes) -> str | None:
    """Release of an x86 bzImage, None when unknown.

    From its header's kernel_version (Documentation/arch/x86/boot.rst).
    """
    return _version_text(head).split(" ")[0] or None


def image_build(head: bytes) -> str | None:
    """Version text of an x86 bzImage (uname -v), None when unknown.

    It follows release and builder, ``RELEASE (BY@HOST) #1 SMP ...`` (arch/x86/boot/version.c).
    """
    found = re.search(r" \(.*?\) (#.+)", _version_text(head))
    return found.group(1) if found else None


def _version_text(head: bytes) -> str:
    if len(head) < 0x210 or head[0x202:0x206] != b"HdrS":
        return ""
    offset = int.from_bytes(head[0x20E:0x210], "little") + 0x200
    return head[offset : offset + 256].split(b"\0")[0].decode(errors="replace")
