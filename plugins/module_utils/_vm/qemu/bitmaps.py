# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dirty bitmaps of a QEMU's images, by which incremental backups work. Pure.

Persistent ones are in their qcow2 image: QEMU writes them when a migration ends, and reads them when the guest goes on,
here or after a restore (found on QEMU 10.0.2, `test_bitmaps_real.py`). Others are in QEMU's memory, and no state has
them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from . import block_answers
from .block_graph import Problem


def lost(nodes: object) -> Iterator[Problem]:
    """Bitmaps that a restore would not have.

    ``nodes``: the answer to query-named-block-nodes. Raises `SriovError` for one that is none.
    """
    for node in block_answers.objects(nodes):
        name = block_answers.text(node, "node-name")
        for bitmap in block_answers.objects(node.get("dirty-bitmaps", [])):
            own = block_answers.text(bitmap, "name")
            if own and bitmap.get("persistent") is not True:
                removal = {"execute": "block-dirty-bitmap-remove", "arguments": {"node": name, "name": own}}
                yield (
                    f"its dirty bitmap {own} of {name} is in memory only, and would be gone after the update",
                    f"end the backups that use it, and remove it at its monitor: {json.dumps(removal)}; a persistent "
                    "one stays",
                )
