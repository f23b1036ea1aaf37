# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts as the kernel lists them, /proc/PID/mountinfo (proc(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .._model.errors import RefusedError
from .._model.values import shown


class Mount(NamedTuple):
    """One line: ``device`` as MAJOR:MINOR; ``root`` and ``point`` are paths."""

    number: str
    device: str
    root: str
    point: str
    kind: str
    source: str


def rows(path: str, text: str) -> Iterator[Mount]:
    """The mounts in ``text``, read from ``path``.

    Lines end at newlines alone: any user can mount something, in a namespace of theirs, at a path with other characters
    that Python takes for line ends, and the kernel writes those as they are (fs/proc_namespace.c, mangle). Raises
    `RefusedError` for a line that is no mount: nobody's VF may be overlooked.
    """
    for line in filter(None, text.split("\n")):
        before, _dash, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(rest) < 2:
            raise RefusedError(f"{path} has a line that is no mount, so it may be about any VF: {shown(line)}")
        yield Mount(fields[0], fields[2], _plain(fields[3]), _plain(fields[4]), rest[0], _plain(rest[1]))


def _plain(text: str) -> str:
    """Decode blanks, tabs, newlines and backslashes, which are octal there."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)
