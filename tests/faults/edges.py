# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edges of the node program as texts, and faults there.

Edges are system calls and other programs: files that are replaced, commands of monitors, programs, writes to /sys, and
the calls of a kexec. So faults do not depend on how the engine is written:

file NAME STATE    a file is replaced by one with this phase or state: ``file web1/claim.json saved``
monitor VM COMMAND ``monitor web1 migrate``
run ARGV           ``run systemd-run --quiet ...``
write PATH VALUE   a file of /sys
kexec CALL         load, unload or reboot
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.qmp import QmpError

KILL, CUT, ERROR, LIE, PAUSE, HOLD = "kill", "power cut", "error", "lie", "pause", "hold"
BEFORE, AFTER = "before", "after"
PAUSED, GO = "paused", "go"
"""Files by which a paused process and its case take turns."""
DEADLINE_S = 120.0
NOTHING = object()


@dataclass(frozen=True)
class Strike:
    """A fault at an edge.

    ``step``: the command in which it strikes; ``at``: pattern of the edge's text; ``nth`` time that it fits, 0 for
    each; ``when``: before or after the act. ``do``: one of the constants above. ``value``: the errno, or the text of
    the refusal; a lie does nothing and answers with it. A pause lets the case do something else meanwhile; a hold waits
    for the end of the process.
    """

    step: str
    at: str
    do: str
    when: str = BEFORE
    nth: int = 1
    value: Any = None


class Edges:
    """The edges of one process, where ``strikes`` happen."""

    def __init__(self, folder: Path, strikes: list[Strike], cut: Callable[[], None]) -> None:
        self.folder, self.strikes, self.cut = folder, strikes, cut
        self._seen = [0] * len(strikes)
        self._lock = RLock()
        self._log = (folder / "edges.log").open("a", buffering=1)

    def act(self, text: str, act: Callable[[], Any]) -> Any:  # noqa: ANN401 - answers of several shapes
        """Do something at an edge, or what strikes there."""
        struck = self._strikes(text)
        for strike in struck:
            if strike.when == BEFORE:
                answer = self._strike(text, strike)
                if answer is not NOTHING:
                    return answer
        answer = act()
        for strike in struck:
            if strike.when == AFTER:
                other = self._strike(text, strike)
                answer = answer if other is NOTHING else other
        return answer

    def _strikes(self, text: str) -> list[Strike]:
        with self._lock:
            print(f"{time.time():.3f} {os.getpid()} {text}", file=self._log)
            found = []
            for number, strike in enumerate(self.strikes):
                if re.search(strike.at, text):
                    self._seen[number] += 1
                    if strike.nth in (0, self._seen[number]):
                        found.append(strike)
                        (self.folder / f"struck-{strike.step}-{number}").touch()
            return found

    def _strike(self, text: str, strike: Strike) -> Any:  # noqa: ANN401 - an answer
        print(f"{time.time():.3f} {os.getpid()} STRUCK: {strike.do} {strike.when} {text}", file=self._log)
        if strike.do in (KILL, CUT):
            if strike.do == CUT:
                self.cut()
            os.kill(os.getpid(), signal.SIGKILL)
        if strike.do == PAUSE:
            self._pause()
        if strike.do == ERROR:
            raise _error(text, strike.value)
        if strike.do == HOLD:
            time.sleep(DEADLINE_S)
        return strike.value if strike.do == LIE else NOTHING

    def _pause(self) -> None:
        (self.folder / PAUSED).touch()
        until = time.monotonic() + DEADLINE_S
        while not (self.folder / GO).exists():
            assert time.monotonic() < until, "nobody goes on"
            time.sleep(0.01)
        (self.folder / GO).unlink()


def _error(text: str, value: Any) -> Exception:  # noqa: ANN401 - errno or text
    kind, _blank, what = text.partition(" ")
    if kind == "run":
        return ToolError(what.split(), 1, str(value))
    if kind == "monitor":
        return QmpError(what.split()[1], "GenericError", str(value))
    return OSError(value, os.strerror(value), what)


def name_of(path: str, target: str) -> str:
    """Text of a file that is replaced.

    Its name, a VM's with its folder, and its phase or state."""
    folder, name = os.path.split(target)
    name = f"{os.path.basename(folder)}/{name}" if os.path.basename(os.path.dirname(folder)) == "vms" else name
    state = ""
    with suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        found = json.load(file)
        state = str(found.get("phase", found.get("state", ""))) if isinstance(found, dict) else ""
    return f"{name} {state}".rstrip()
