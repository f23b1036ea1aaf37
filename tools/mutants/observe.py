# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run pytest and note what of the checkout a test uses.

    observe.py NOTES PYTEST_OPTIONS..

A line each, written at once, so that forked and killed processes count:

- `ran FILE`: a Python file with a function that was called, or that called one of another while it was imported.
- `imported FILE`: a Python file whose other statements ran, or some of them.
- `read FILE`: one that was opened, or that was asked for (stat); it need not be there.
- `in FOLDER`: a folder that was listed.
- `program NAME`: a program that was started, as it is on the PATH.
- `any`: something ran that cannot be seen from here, a program or code that was made up.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

IMPORTERS = ("<frozen importlib", "/_pytest/")
"""Parts of names of files that read sources for others."""
FUNCTION = 1
"""CO_OPTIMIZED (inspect): code of a function, not of a module or class."""
STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system")
"""Audit events with a program that is started (docs.python.org, audit_events)."""
ASKS = ("stat", "access")
"""Functions of os without an audit event; os.path.realpath() calls neither."""


class Observer:
    """Notes of what is used below ``root``, each once for a process."""

    def __init__(self, notes: str, root: str) -> None:
        self.root = os.path.realpath(root) + "/"
        self.installed = (*{os.path.realpath(path) + "/" for path in (sys.prefix, sys.base_prefix)}, __file__)
        self._file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._noted: set[str] = set()
        self._sources = {__file__: ""}

    def note(self, line: str) -> None:
        if line not in self._noted:
            self._noted.add(line)
            os.write(self._file, f"{line}\n".encode())

    def name(self, path: str) -> str:
        """The path below the root, through links; empty for others."""
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError):  # no working directory, no path
            return ""
        if real + "/" == self.root:
            return "."
        return real.removeprefix(self.root) if real.startswith(self.root) else ""

    def source(self, code: CodeType) -> str:
        """The same of the file that code is from.

        Code that is neither of the checkout nor installed may do anything.
        """
        path = code.co_filename
        if path not in self._sources:
            self._sources[path] = name = "" if path.startswith("<") else self.name(path)
            if not name and not path.startswith("<") and not os.path.realpath(path).startswith(self.installed):
                self.note("any")
        return self._sources[path]

    def called(self, frame: FrameType, _event: str, _argument: object) -> None:
        """Note a call (sys.settrace); no lines are traced."""
        code = frame.f_code
        name = self._sources.get(code.co_filename)
        if name is None:
            name = self.source(code)
        if not name:
            return
        if not code.co_flags & FUNCTION:
            self.note(f"imported {name}")
        else:
            self.note(f"ran {name}")
            if (back := self._caller(frame)) and not back.co_flags & FUNCTION:
                self.note(f"ran {self.source(back)}")

    def _caller(self, frame: FrameType) -> CodeType | None:
        """The nearest code of the checkout above a frame."""
        above = frame.f_back
        while above is not None and not self.source(above.f_code):
            above = above.f_back
        return above.f_code if above is not None else None

    def audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note files that are opened, folders listed, programs started."""
        if event == "open":
            self.wanted("read", arguments[0])
        elif event in ("os.listdir", "os.scandir"):
            self.wanted("in", "." if arguments[0] is None else arguments[0])
        elif event in STARTS:
            self.note("any")
            if isinstance(program := arguments[0], (str, bytes)):
                self.note(f"program {os.path.basename(os.fsdecode(program).partition(' ')[0])}")
        elif event == "sys.settrace" and self.asked():
            self.note("any")  # from here on it sees instead of us

    def wanted(self, kind: str, path: object) -> None:
        """Note a path that code of the checkout asks for."""
        if isinstance(path, (str, bytes, os.PathLike)) and (name := self.name(os.fsdecode(path))) and self.asked():
            self.note(f"{kind} {name}")

    def asked(self) -> bool:
        """Whether code of the checkout asked, not an import or pytest."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(IMPORTERS[0]) or IMPORTERS[1] in file:
                return False
            if self.source(frame.f_code):
                return True
            frame = frame.f_back
        return False

    def watch(self, name: str) -> None:
        """Let a function of os note the path that it gets."""
        function: Callable[..., object] = getattr(os, name)

        def ask(*arguments: object, **options: object) -> object:
            self.wanted("read", (*arguments, options.get("path"))[0])
            return function(*arguments, **options)

        setattr(os, name, ask)
        for able in (os.supports_dir_fd, os.supports_fd, os.supports_effective_ids, os.supports_follow_symlinks):
            able |= {ask} if function in able else set()


class Start:
    """A plugin that begins before code of the checkout is run."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def pytest_load_initial_conftests(self) -> None:
        for name in ASKS:
            self.observer.watch(name)
        sys.addaudithook(self.observer.audited)
        threading.settrace(self.observer.called)
        sys.settrace(self.observer.called)


def main() -> int:
    """Run pytest in the working directory; its exit status."""
    observer = Observer(sys.argv[1], os.getcwd())
    sys.path[0] = os.getcwd()  # as `python -m pytest` has it
    import pytest

    start = Start(observer)
    pytest.hookimpl(tryfirst=True)(Start.pytest_load_initial_conftests)
    status = int(pytest.main(sys.argv[2:], plugins=[start]))
    if sys.gettrace() != observer.called:
        observer.note("any")  # it was ended, by an error in it or by a test
    return status


if __name__ == "__main__":
    sys.exit(main())
