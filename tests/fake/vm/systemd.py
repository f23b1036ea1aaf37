# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake systemd: the units of QEMUs, by systemd-run and systemctl."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError

from .granted import Granted
from .monitor import QemuRefusalError
from .script import Script

if TYPE_CHECKING:
    from .node import FakeNode


def expanded(word: str) -> str:
    """A word as systemd hands it on (systemd.service(5)).

    Variables are expanded, ``$$`` becomes ``$``.
    """
    return re.sub(r"\$(\$|\{\w+\}|\w+)", lambda match: "$" if match[1] == "$" else "", word)


class FakeSystemd:
    """The systemd of a node.

    ``granted``: what each unit has; ``slices``: files of slices' settings; ``unit_files``: states of unit files;
    ``going_down``: the host shuts down.
    """

    def __init__(self, node: FakeNode) -> None:
        self.node = node
        self.going_down = False
        self.granted: dict[str, Granted] = {}
        self.slices: dict[str, str] = {}
        self.unit_files: dict[str, str] = {}

    def run(self, words: list[str]) -> str:
        return self._systemd_run(words) if words[0] == "systemd-run" else self._systemctl(words)

    def _systemd_run(self, words: list[str]) -> str:
        unit = next(word.partition("=")[2] for word in words if word.startswith("--unit="))
        argv = [expanded(word) for word in words[words.index("--") + 1 :]]
        if any(qemu.alive and qemu.unit == unit for qemu in self.node.qemus):
            raise ToolError(words, 1, f"Unit {unit} was already loaded")
        if not os.path.basename(argv[0]).startswith("qemu"):
            return ""
        name = argv[argv.index("-name") + 1].split(",")[0].removeprefix("guest=")
        if self.node.scripts.get(name, Script()).start == "exits":
            return ""
        try:
            self.node.start(argv, unit, Granted(self._with_environment(words[: words.index("--")])))
        except QemuRefusalError as error:
            raise ToolError(words, 1, str(error)) from error
        return ""

    def _with_environment(self, words: list[str]) -> list[str]:
        """The words with the variables of an EnvironmentFile= as --setenv.

        systemd reads that file before it starts the program, as root.
        """
        given = "--property=EnvironmentFile="
        found = []
        for path in [self.node.host.root / word.removeprefix(given).lstrip("/") for word in words if given in word]:
            assert path.stat().st_mode & 0o777 == 0o600
            assert path.parent.stat().st_mode & 0o777 == 0o700
            pairs = re.findall(r'^([A-Za-z_]\w*)="((?:\\.|[^"\\])*)"$', path.read_text(), re.MULTILINE)
            found += ["--setenv=" + re.sub(r"\\(.)", r"\1", f"{name}={value}") for name, value in pairs]
        return [*(word for word in words if given not in word), *found]

    def _systemctl(self, words: list[str]) -> str:
        if words[1] == "show":
            return self._show(words)
        if words[1] != "is-system-running":
            return ""
        if self.going_down:
            raise ToolError(words, 1, "stopping")
        return "running\n"

    def _show(self, words: list[str]) -> str:
        unit = words[-1]
        active = any(qemu.alive and qemu.unit == unit for qemu in self.node.qemus)
        if "--property=ActiveState" in words:
            return "active\n" if active else "inactive\n"
        if "--property=UnitFileState" in words:
            return self.unit_files.get(unit, "") + "\n"
        if "--property=LoadState,ActiveState,Result" in words:
            return self._ended(unit)
        names = next(word.removeprefix("--property=").split(",") for word in words if word.startswith("--property="))
        if unit.endswith(".slice"):
            return "".join(f"{name}={self.slices.get(unit, '')}\n" for name in names if name == "DropInPaths")
        lines = self.granted.get(unit, Granted()).show([name for name in names if name != "FragmentPath"])
        return "\n".join([f"FragmentPath=/run/systemd/transient/{unit}", *lines, ""])

    def _ended(self, unit: str) -> str:
        """As of a unit that was started without --collect."""
        last = [qemu for qemu in self.node.qemus if qemu.unit == unit][-1:]
        if not last or last[0].alive or last[0].ended_well:
            return "LoadState=not-found\nActiveState=inactive\nResult=success\n"
        return "LoadState=loaded\nActiveState=failed\nResult=signal\n"
