# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back to the kernel before an update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.command_line import split
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import UPDATE_PARAMETER


def way_back(kernel: Mapping[str, Any]) -> dict[str, str]:
    """Kernel, initrd and words of the command line that lead back.

    ``kernel``: the manifest's. Words that the update has added are taken away, with ``-`` before them, and those that
    it has taken away are added; words of the boot loader are left out by whoever makes the command line.
    """
    before, after = split(str(kernel["cmdline_before"])), split(str(kernel["cmdline"]))
    added = [word for word in after if word not in before]
    gone = [word for word in before if word not in after and not word.startswith("-")]
    return {
        "kernel": str(kernel["release_before"]),
        "initrd": str(kernel["initrd_before"] or "none"),
        "command_line": " ".join(
            [*(f"-{word}" for word in added if not word.startswith((f"{UPDATE_PARAMETER}=", "panic="))), *gone]
        ),
    }
