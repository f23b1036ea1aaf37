# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparison of files with what a patch declares.

patch(1) ends well where it has ignored a name, or taken a part for prose.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from .git_patch import EXECUTABLE, LINK, Change

_PLAIN = "100644"


class Seen(NamedTuple):
    """A file: git's mode, and its text or a link's target."""

    mode: str
    content: bytes

    @property
    def lines(self) -> int:
        """Lines, a last one without its end too."""
        return self.content.count(b"\n") + (self.content[-1:] not in (b"", b"\n"))


def seen(folder: Path) -> dict[str, Seen]:
    """Files and symbolic links below a folder, by path."""
    found: dict[str, Seen] = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink():
                found[str(path.relative_to(folder))] = Seen(LINK, os.fsencode(os.readlink(path)))
            elif path.is_file():
                mode = EXECUTABLE if path.stat().st_mode & 0o100 else _PLAIN
                found[str(path.relative_to(folder))] = Seen(mode, path.read_bytes())
    return found


def differences(before: Mapping[str, Seen], after: Mapping[str, Seen], changes: Iterable[Change]) -> Iterator[str]:
    """What is not as ``changes`` of ``before`` declare, in words."""
    wanted = {name: (file.lines, file.mode) for name, file in before.items()}
    altered: set[str] = set()
    for change in changes:
        lines, mode = wanted.get(change.old, (0, _PLAIN)) if change.old else (0, _PLAIN)
        if change.old and not change.copied:
            wanted.pop(change.old, None)
        if change.new:
            wanted[change.new] = (lines + change.added - change.removed, change.mode or mode)
        altered.update(change.names if change.added or change.removed else ())
    for name in sorted({*wanted, *after}):
        if name not in wanted:
            yield f"{name} is there"
        elif name not in after:
            yield f"{name} is not there"
        else:
            yield from _different(name, before.get(name), after[name], wanted[name], name in altered)


def _different(name: str, before: Seen | None, after: Seen, wanted: tuple[int, str], altered: bool) -> Iterator[str]:
    lines, mode = wanted
    if after.mode != mode:
        yield f"{name} has mode {after.mode} instead of {mode}"
    if after.lines != lines:
        yield f"{name} has {after.lines} lines instead of {lines}"
    elif before and (before.content != after.content) is not altered:
        yield f"{name} was {'not ' if altered else ''}changed"
