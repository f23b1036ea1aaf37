# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes: runs of other programs, argv lists, never a shell; their states."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, cast

from .._model.deadlines import KILL_S, PROGRAM_S, SLOW_PROGRAMS_S
from .._model.errors import BlockedError, DeadlineError, SriovError, ToolError

if TYPE_CHECKING:
    from importlib.abc import InspectLoader

Run = Callable[[Sequence[str]], str]
"""A function from argv to stdout; it raises `ToolError`."""


def source_of(module: ModuleType) -> str:
    """The source of a module to run in another Python.

    From a zip file as well. `inspect.getsource` keeps lines in a cache, which fails when threads use it at the same
    time.
    """
    text = cast("InspectLoader", module.__loader__).get_source(module.__name__)
    if text is None:
        raise SriovError(f"module {module.__name__} has no source: install the collection, or the node program, anew")
    return text


def run(argv: Sequence[str], deadline_s: float | None = None) -> str:
    """The stdout of ``argv``, run in the C locale, without input.

    Raises `ToolError` with argv, status and stderr; `DeadlineError` after ``deadline_s`` seconds, by default the
    program's, `BlockedError` when it cannot even be killed.
    """
    seconds = deadline_of(argv) if deadline_s is None else deadline_s
    try:
        process = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            encoding="utf-8", errors="replace", env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except OSError as error:
        raise ToolError(argv, 127, f"cannot run it: {error.strerror}") from error
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise _late(process, argv, seconds) from error
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0:
        raise ToolError(argv, process.returncode, stderr or stdout)
    return stdout


def deadline_of(argv: Sequence[str]) -> float:
    """Seconds that a program may take, by its name."""
    return SLOW_PROGRAMS_S.get(os.path.basename(argv[0]), PROGRAM_S)


def _late(process: subprocess.Popen[str], argv: Sequence[str], deadline_s: float) -> DeadlineError:
    """Kill a late process, and wait for it only briefly.

    A process that the kernel has blocked does not die.
    """
    process.kill()
    message = f"'{' '.join(argv)}' did not end within {deadline_s:g} s"
    try:
        process.wait(KILL_S)
    except subprocess.TimeoutExpired:
        return BlockedError(f"{message}, and cannot be killed: process {process.pid} ({where(process.pid)})")
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return DeadlineError(message)


def refuse(argv: Sequence[str]) -> str:
    """The `Run` of trees below another root: refuse every program.

    It would act on this machine instead.
    """
    raise SriovError(f"'{' '.join(argv)}' is not run below another root: it would act on this machine")


def where(pid: int) -> str:
    """A process's state and the kernel functions that it waits in.

    As far as they may be read (proc(5)).
    """
    state = re.search(r"^State:\s+(\S)", _read(pid, "status"), re.MULTILINE)
    if state is None:
        return "gone"
    frames = re.findall(r"^\[\S+\] (\w[\w.]*)", _read(pid, "stack"), re.MULTILINE)[:4]
    inside = " < ".join(frames) or _read(pid, "wchan").strip("0")
    return f"state {state.group(1)}" + (f", in {inside}" if inside else "")


def _read(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
