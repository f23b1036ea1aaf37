# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Formats in which a kernel hands memory over to the next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

PLACES = ("include/linux/kho/abi/*.h", "kernel/kexec_handover.c", "kernel/liveupdate/*.c")
"""Files of a source with these strings.

Before 6.19 they are in no header.
"""
STRING = re.compile(r"^#define\s+(\w+_COMPATIBLE)\s+\"([\w.,-]+)\"", re.MULTILINE)


def formats(tree: Path, options: Mapping[str, str]) -> list[str]:
    """Compatible strings of KHO and LUO, sorted.

    Empty when the kernel has none.
    Two kernels hand over memory only where these are the same (Documentation/core-api/kho).
    """
    if options.get("KEXEC_HANDOVER") != "y":
        return []
    files = [path for place in PLACES for path in sorted(tree.glob(place))]
    found = [one for path in files for one in STRING.findall(path.read_text(encoding="utf-8", errors="replace"))]
    user = options.get("LIVEUPDATE") == "y"
    return sorted({text for name, text in found if user or "LUO" not in name})
