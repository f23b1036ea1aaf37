# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's environment block: a text of exactly 1024 bytes.

Source: grub-core/lib/envblk.c of GRUB 2.06.
"""

from __future__ import annotations

import re

from .unknown import UnknownBootError

SIGNATURE = "# GRUB Environment Block\n"
SIZE = 1024


def parse(data: bytes) -> dict[str, str]:
    """Names and values of an environment block.

    Raises `UnknownBootError` for one that GRUB would not load.
    """
    text = data.decode("utf-8", errors="surrogateescape")
    if len(data) != SIZE or not text.startswith(SIGNATURE):
        wanted = f"{SIZE} that begin with '{SIGNATURE[:-1]}'"
        raise UnknownBootError(f"it is no environment block: {len(data)} bytes, expected {wanted}")
    found: dict[str, str] = {}
    for line in re.findall(r"(?:\\.|[^\\\n])*(?:\n|\Z)", text[len(SIGNATURE) :], re.DOTALL):
        name, equals, value = line[:-1].partition("=")
        if equals and not name.startswith("#") and line.endswith("\n"):
            found[name] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
    return found
