# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the manifest that brings a manager's VM back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..._model.errors import BadInputError
from .. import vm_commands
from ..record import ManifestVm
from ..vm_commands import VmCommands
from ..vm_facts import VmFacts
from .facts import CommandFacts


@dataclass(frozen=True)
class CommandPart:
    """The programs of the VM's manager, with their placeholders."""

    commands: VmCommands

    @classmethod
    def made(cls, vm: VmFacts) -> CommandPart:
        return cls(CommandFacts.of(vm).commands)

    @classmethod
    def parse(cls, data: Mapping[str, Any], where: str) -> CommandPart:
        """Parse the part of a manifest; raises `BadInputError`."""
        for key in sorted({"commands"} ^ set(data)):
            raise BadInputError(f"{where}.{key}: {'missing' if key == 'commands' else 'unknown key'}")
        return cls(vm_commands.parse(data["commands"], f"{where}.commands"))

    def require(self, vfs: Collection[str], where: str) -> None:
        """Require a program that attaches these VFs again."""
        if vfs and not self.commands.attach:
            raise BadInputError(f"{where}.commands.attach: nothing that attaches VF {', '.join(sorted(vfs))} again")

    @classmethod
    def of(cls, vm: ManifestVm) -> CommandPart:
        return cls.parse(vm.part, f"VM {vm.name}")

    def to_dict(self) -> dict[str, Any]:
        return {"commands": self.commands.to_dict()}
