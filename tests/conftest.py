# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the collection importable by its full name on a fresh clone: a link below build/src leads to this checkout."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = ROOT / "build" / "src" / "ansible_collections" / "kvmfleet" / "sriov"

if not LINK.exists():
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.symlink_to(ROOT)
    importlib.invalidate_caches()  # the folder was on the path before it existed
for folder in (ROOT, ROOT / "build" / "src"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
