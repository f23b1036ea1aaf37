# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run pytest and note what of the checkout a test uses.

    observe.py NOTES PYTEST_OPTIONS..

A line each: the path of a file with a function that was called, or of another file than Python's that was opened; after
a `!` what ran that cannot be seen from here. Lines are written at once, so forked and killed processes count.
"""

from __future__ import annotations

import os
import sys
import threading
from types import CodeType, FrameType
from typing import Any

UNSEEN = "!"
FUNCTION = 1
"""CO_OPTIMIZED (inspect): code of a function, not of a module or class."""
PYTHON = (".py", ".pyc")
STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system")
"""Audit events of a program that is started (docs.python.org, audit_events)."""


class Observer:
    """Notes of what is used below ``root``, each once for a process."""

    def __init__(self, notes: str, root: str) -> None:
        self.root = os.path.realpath(root) + "/"
        self._file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._noted: set[str] = set()
        self._codes: dict[int, CodeType] = {}

    def note(self, line: str) -> None:
        if line not in self._noted:
            self._noted.add(line)
            os.write(self._file, f"{line}\n".encode())

    def use(self, path: str) -> None:
        """Note a file, through links, if it is below the root."""
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError):  # no working directory, no path
            return
        if real.startswith(self.root):
            self.note(real.removeprefix(self.root))

    def called(self, frame: FrameType, _event: str, _argument: object) -> None:
        """Note the file of a function (sys.settrace); no lines are traced.

        Each call in the test passes here, so a function that was called before costs next to nothing.
        """
        code = frame.f_code
        if id(code) not in self._codes:
            self._codes[id(code)] = code  # keeps its id its own
            if code.co_flags & FUNCTION and not code.co_filename.startswith("<"):
                self.use(code.co_filename)

    def audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note files that are opened, and that programs are started."""
        if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
            if not (path := os.fsdecode(arguments[0])).endswith(PYTHON):
                self.use(path)
        elif event in STARTS:
            self.note(f"{UNSEEN}starts programs")


def main() -> int:
    """Run pytest in the working directory; its exit status."""
    observer = Observer(sys.argv[1], os.getcwd())
    sys.path[0] = os.getcwd()  # as `python -m pytest` has it
    import pytest

    sys.addaudithook(observer.audited)
    threading.settrace(observer.called)
    sys.settrace(observer.called)
    status = int(pytest.main(sys.argv[2:]))
    if sys.gettrace() != observer.called:
        observer.note(f"{UNSEEN}ends the tracing of calls")
    return status


if __name__ == "__main__":
    sys.exit(main())
