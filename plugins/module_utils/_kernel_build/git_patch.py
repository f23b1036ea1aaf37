# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes that a patch in git's form declares.

Read to the last line: patch(1) takes what it does not know for prose, and ends well. The form: git-diff(1), "Generating
patch text with -p".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .._model.errors import BadInputError
from .._model.values import shown
from .git_names import both, one

LINK, EXECUTABLE = "120000", "100755"
"""Modes of git: of a symbolic link and of a program."""

_MODES = ("100644", EXECUTABLE, LINK)
_HUNK = re.compile(r"@@ -\d+(?:,(\d{1,9}))? \+\d+(?:,(\d{1,9}))? @@")
_SCORE = re.compile(r"(?:dis)?similarity index \d+%$")
_INDEX = re.compile(r"index [0-9a-f]+\.\.[0-9a-f]+(?: (\d{6}))?$")
_PROSE_ENDS = re.compile(r"@@ -\d|\+\+\+ ")
"""Lines that patch(1) would take for a change without a header."""


@dataclass
class Change:
    """A change of a file, from ``old`` to ``new``.

    They are None where there is none. ``mode`` is the new one, None where it stays; ``added`` and ``removed`` are
    lines; ``copied``: ``old`` stays.
    """

    old: str | None
    new: str | None
    mode: str | None = None
    added: int = 0
    removed: int = 0
    copied: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Paths below the tree that it is about."""
        return tuple(name for name in (self.old, self.new) if name is not None)


def changes(text: str, where: str) -> list[Change]:
    """All changes of a patch, in order.

    Raises `BadInputError` with ``where`` and the line that is no part of any.
    """
    lines = _Lines(text.removesuffix("\n").split("\n"), where)
    found: list[Change] = []
    while lines.prose():
        found.append(_change(lines))
    return found


class _Lines:
    """Lines with a place."""

    def __init__(self, lines: list[str], where: str) -> None:
        self._lines, self._where, self._at = lines, where, 0

    @property
    def now(self) -> str | None:
        return self._lines[self._at] if self._at < len(self._lines) else None

    def next(self) -> str:
        self._at += 1
        return self._lines[self._at - 1]

    def wrong(self, what: str) -> BadInputError:
        """The error about the present line."""
        text = "its end" if self.now is None else f"line {self._at + 1}, {shown(self.now)},"
        return BadInputError(f"{self._where}: {text} {what}; make the patch again, with 'git format-patch'")

    def prose(self) -> bool:
        """Go to the next change; False at the end."""
        while self.now is not None and not self.now.startswith("diff --git "):
            if _PROSE_ENDS.match(self.now):
                raise self.wrong("changes something without a 'diff --git' line of its own")
            self._at += 1
        return self.now is not None


def _change(lines: _Lines) -> Change:
    names = both(lines.now or "")
    if names is None and not _is_moved(lines):
        raise lines.wrong("does not name a file below a/ and the same one below b/")
    start = lines.next()
    change = Change(*(names or (None, None)))
    is_about_nothing = not _headers(lines, change, start)
    for before, after in _hunks(lines, change):
        change.removed, change.added = change.removed + before, change.added + after
        is_about_nothing = False
    if is_about_nothing:
        raise lines.wrong(f"comes where the change that {shown(start)} announces should be")
    return change


def _is_moved(lines: _Lines) -> bool:
    """Whether the two names differ, as those of a rename do."""
    return bool(re.match(r'diff --git "?a/.* "?b/', lines.now or ""))


def _headers(lines: _Lines, change: Change, start: str) -> bool:
    """Read the header lines; whether they change something themselves."""
    does = False
    moved: dict[str, str] = {}
    while (line := lines.now) is not None:
        if line.startswith(("rename from ", "rename to ", "copy from ", "copy to ")):
            kind, which, name = line.split(" ", 2)
            moved[which] = _checked(lines, one(name))
            change.copied = kind == "copy"
        elif line.startswith(("new mode ", "new file mode ", "deleted file mode ", "old mode ")):
            does = _mode(lines, change, line) or does
        elif index := _INDEX.match(line):
            change.mode = change.mode if change.mode or index[1] != LINK else LINK
        elif line.startswith(("Binary files ", "GIT binary patch")):
            raise lines.wrong("is a binary change, which patch(1) cannot apply")
        elif not _SCORE.match(line):
            break
        lines.next()
    if moved:
        change.old, change.new, does = moved.get("from"), moved.get("to"), True
    if not change.names or (moved and len(moved) != 2):
        raise lines.wrong(f"comes where a name that {shown(start)} needs should be")
    return does


def _mode(lines: _Lines, change: Change, line: str) -> bool:
    """Take a mode; False for the old one, which says nothing new."""
    kind, mode = line.rsplit(" ", 1)
    if mode not in _MODES:
        raise lines.wrong("has a mode that no file of a kernel's source has")
    if kind == "new file mode":
        change.old = None
    if kind == "deleted file mode":
        change.new = None
        return True
    if kind != "old mode":
        change.mode = mode
    return kind != "old mode"


def _hunks(lines: _Lines, change: Change) -> Iterator[tuple[int, int]]:
    """Lines removed and added by each hunk, behind both names."""
    if lines.now is None or not lines.now.startswith("--- "):
        _end(lines)
        return
    for prefix, name in (("--- ", change.old), ("+++ ", change.new)):
        line = lines.now or ""
        given = one(line[4:].partition("\t")[0]) if line.startswith(prefix) else None
        side = "a/" if prefix == "--- " else "b/"
        if given != ("/dev/null" if name is None else f"{side}{name}"):
            raise lines.wrong(f"should be '{prefix}' and the file that the 'diff --git' line names")
        lines.next()
    if lines.now is None or not _HUNK.match(lines.now):
        raise lines.wrong("should begin with '@@ -N,N +N,N @@'")
    while lines.now is not None and (hunk := _HUNK.match(lines.now)):
        lines.next()
        yield _body(lines, *(1 if count is None else int(count) for count in hunk.groups()))
    _end(lines)


def _body(lines: _Lines, before: int, after: int) -> tuple[int, int]:
    """Read a hunk of that many lines; removed and added ones."""
    removed = added = 0
    while before > 0 or after > 0:
        sign = (lines.now or " ")[:1] or " "
        if lines.now is None or sign not in " -+\\":
            raise lines.wrong("is no line of a hunk, which is cut off or has a wrong count of lines")
        before, after = before - (sign in " -"), after - (sign in " +")
        removed, added = removed + (sign == "-"), added + (sign == "+")
        lines.next()
    if before < 0 or after < 0:
        raise lines.wrong("follows a hunk that has more lines than its '@@' line says")
    while lines.now is not None and lines.now.startswith("\\"):
        lines.next()
    return removed, added


def _end(lines: _Lines) -> None:
    """Require the next change, git's signature, or nothing."""
    while lines.now == "":
        lines.next()
    if lines.now is not None and not re.match(r"diff --git |--\s?$|From [0-9a-f]{40} ", lines.now):
        raise lines.wrong("is no part of a change in git's form")


def _checked(lines: _Lines, name: str | None) -> str:
    if name is None:
        raise lines.wrong("is no name as git writes it")
    return name
