# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaks that kmemleak reports after all cases.

After Documentation/dev-tools/kmemleak.rst.
"""

from __future__ import annotations

import time
from pathlib import Path

from harness import ANY, Case, Pf, SkippedError, require

FILE = Path("/sys/kernel/debug/kmemleak")


class Leaks:
    """Memory allocated since this object was made, without pointers to it."""

    def __init__(self) -> None:
        if FILE.exists():
            FILE.write_text("clear")

    @property
    def case(self) -> Case:
        return Case("no_leaks", self.check, ANY, 0, True)

    def check(self, pf: Pf) -> None:
        """Require that nothing leaked.

        Objects must be some seconds old, and found twice, to count.
        """
        if not FILE.exists():
            raise SkippedError("this kernel has no CONFIG_DEBUG_KMEMLEAK")
        for _ in range(2):
            time.sleep(10)
            FILE.write_text("scan")
        found = FILE.read_text(errors="replace").strip()
        print(found, flush=True)
        require(not found, f"{found.count('unreferenced object')} unreferenced objects, the first: {found[:600]}")
