# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backend `command` knows of a running VM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from ..vm_commands import VmCommands
from ..vm_facts import VmFacts


@dataclass(frozen=True)
class CommandFacts:
    """A running VM of a manager.

    ``missing``: programs that nobody can run; ``saved``: what speaks against its program ``saved``, empty for nothing;
    ``replaced``: images that are another file by now.
    """

    commands: VmCommands
    missing: tuple[str, ...] = ()
    saved: str = ""
    replaced: tuple[str, ...] = ()

    @classmethod
    def of(cls, vm: VmFacts) -> CommandFacts:
        return cast("CommandFacts", vm.detail)
