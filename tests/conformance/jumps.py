# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jumps: cases cut in two, with a kexec between.

They state what a kernel must do with VFs when it is left and entered by kexec. The half before the kexec prepares the
PF, the half after it checks. What the second must know of the first is in a `Note`, which waits in a file. One kexec
has one jump, which all PFs make, and then the cases that need the words with which that kernel was booted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from types import ModuleType
from typing import Any

from harness import FULL, Case, FailedError, Pf, Row, applies, judge

Note = dict[str, Any]
Half = Callable[[Pf, Note], None]
KEEP = "pci=sriov_keep_vfs"
LISTED = "pci=sriov_keep_vfs={ids},sriov_absent_vfs={ids}"
"""The lists of PFs whose drivers need not have declared anything."""
NO_RETURN = "the host did not come back from this jump or one before it"


@dataclass
class Jump:
    """A jump: ``words`` of the next kernel's command line.

    ``leaves`` is the kernel that is left (None: any); the rest is as for a case.
    """

    name: str
    words: str
    leaves: str | None
    interfaces: tuple[str, ...]
    vfs: int
    before: Half
    check: Half | None = None

    def after(self, half: Half) -> Half:
        """Mark the second half."""
        self.check = half
        return half


def jump(
    *, words: str = "", leaves: str | None = None, interfaces: tuple[str, ...] = FULL, vfs: int = 2
) -> Callable[[Half], Jump]:
    """Mark the first half of a jump.

    The jump has its name without `jump_`; its docstring says what must hold after it.
    """

    def mark(before: Half) -> Jump:
        return Jump(before.__name__.replace("jump_", "", 1), words, leaves, interfaces, vfs, before)

    return mark


def collect(modules: Iterable[ModuleType]) -> list[Jump]:
    """The jumps of modules, in the order of their definition.

    One without a second half could not fail, and is an error.
    """
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Jump)]
    broken = [one.name for one in found if one.check is None]
    if broken:
        raise ValueError(f"jumps without a second half: {', '.join(broken)}")
    return found


@dataclass(frozen=True)
class Hop:
    """One kexec: words, the jump of all PFs, cases after it.

    The words are those that it adds; without a jump, it is empty.
    """

    words: str
    jump: str
    cases: tuple[str, ...] = ()


def plan(jumps: Iterable[Jump], cases: Iterable[Case]) -> list[Hop]:
    """Plan a kexec for each jump, and more where needed.

    There is one before it if it must leave another kernel than the one before has entered. Each case is run after the
    first kexec with its words. The last kexec leaves all words behind.
    """
    waiting: dict[str, list[str]] = {}
    for case in cases:
        if case.words:
            waiting.setdefault(case.words, []).append(case.name)
    hops: list[Hop] = []

    def hop(words: str, name: str = "") -> None:
        hops.append(Hop(words, name, tuple(waiting.pop(words, ()))))

    every = list(jumps)
    for one in (one for one in every if one.words):
        if one.leaves is not None and one.leaves != (hops[-1].words if hops else ""):
            hop(one.leaves)
        hop(one.words, one.name)
    for words in list(waiting):
        hop(words)
    for one in (one for one in every if not one.words):
        hop("", one.name)
    if hops and hops[-1].words:
        hop("")
    return hops


@dataclass
class State:
    """The state across kexecs, in the file ``path``.

    It is the plan, the notes, and the latest row of each jump and case.
    """

    path: str
    hops: list[Hop] = field(default_factory=list)
    notes: dict[str, Note] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)

    def put(self, row: Row) -> None:
        self.rows[f"{row.name} {row.pf}"] = row

    def row(self, name: str, pf: Pf) -> Row:
        return self.rows[f"{name} {pf.address}"]

    def note(self, name: str, pf: Pf) -> Note:
        return self.notes.setdefault(f"{name} {pf.address}", {})

    def save(self) -> None:
        """Save the state, whole or not at all, on the disk."""
        data = asdict(self)
        with open(f"{self.path}.new", "w", encoding="utf-8") as stream:
            json.dump(data, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(f"{self.path}.new", self.path)

    @classmethod
    def load(cls, path: str) -> State:
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
        hops = [Hop(hop["words"], hop["jump"], tuple(hop["cases"])) for hop in data["hops"]]
        return cls(path, hops, data["notes"], {key: Row(**row) for key, row in data["rows"].items()})


def both(first: str, watch: Callable[[], str]) -> Callable[[], str]:
    """A watch that reports ``first`` once, if it is not empty."""
    waiting = [first] if first else []
    return lambda: waiting.pop() if waiting else watch()


def announce(state: State, one: Jump | Case, pf: Pf, kernel: str) -> None:
    """Add the row of a jump that is to come.

    It failed, unless another replaces it; or it is skipped, if it is not for this PF.
    """

    def attempt() -> None:
        applies(pf, one.interfaces, one.vfs)
        raise FailedError(NO_RETURN)

    state.put(judge(pf, one.name, kernel, attempt, str))


def pending(state: State, one: Jump | Case, pf: Pf) -> bool:
    return state.row(one.name, pf).reason == NO_RETURN


def first_half(state: State, one: Jump, pf: Pf, kernel: str, watch: Callable[[], str]) -> None:
    """Prepare one PF; a failure leaves out its second half."""

    def attempt() -> None:
        pf.reset()
        pf.ok("sriov_drivers_autoprobe", 0)
        one.before(pf, state.note(one.name, pf))

    if pending(state, one, pf):
        row = judge(pf, one.name, kernel, attempt, watch)
        if row.result != "pass":
            state.put(row)


def second_half(state: State, one: Jump, pf: Pf, kernel: str, watch: Callable[[], str]) -> None:
    """Check one PF, as the kernel met it.

    It is left without VFs.
    """

    def attempt() -> None:
        if one.check is None:
            raise FailedError("there is nothing to check")
        pf.ok("sriov_drivers_autoprobe", 0)
        try:
            one.check(pf, state.note(one.name, pf))
        finally:
            while pf.undo:
                pf.undo.pop()()
            pf.ok("sriov_numvfs", 0)

    if pending(state, one, pf):
        state.put(judge(pf, one.name, kernel, attempt, watch))
