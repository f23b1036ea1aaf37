# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs that are configured to write sriov_numvfs.

Writing the same number again *adds every missing VF* amid the resume.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .._model.errors import KernelError
from .._model.paths import PROGRAM
from .._system.sysfs import Sysfs
from .writer_places import NETPLAN, PLACES, PLAIN

_MOST_BYTES = 1 << 20
_MOST_FILES = 10000
_MOST_FOLDERS = 256
"""Bounds: bytes of a file, files in all, folders of a glob."""
_PATH = re.compile(r"(?<![\w.])/(?:etc|opt|root|srv|usr|var|home)/[\w./@+-]+")
_READS = re.compile(r"\b(?:cat|grep|head|test)\b")
_WRITES = re.compile(r">(?!\s*/dev/null|&)|\btee\b")
_SECTION = re.compile(r"^\s*(\w[\w-]*)\s*:")


@dataclass(frozen=True)
class Writer:
    """A configured writer of sriov_numvfs.

    ``kind`` names the program, ``path`` the file with its setting.
    """

    kind: str
    path: str


def find(sysfs: Sysfs) -> Iterator[Writer]:
    """Find files with writers, each under the first program that fits.

    Drop-in folders count too. A file that several paths lead to is taken once; what is no plain file (units that are
    masked link to /dev/null), or not below the root, is none.
    """
    search = _Search(sysfs)
    there = _listings(sysfs)
    for kind, folders, names, pattern in PLACES:
        for folder in folders:
            for path in _files(sysfs, there, folder, names):
                if search.is_writer(path, pattern, kind):
                    yield Writer(kind, path)


def _listings(sysfs: Sysfs) -> dict[str, dict[str, list[str]]]:
    """Names of files by folder, for each folder or glob of `PLACES`."""
    wanted = {folder for _kind, folders, _names, _pattern in PLACES for folder in folders}
    plain = sysfs.listings({os.path.dirname(one) if _is_glob(one) else one for one in wanted})
    inner = {one: _fitting(one, plain[os.path.dirname(one)]) for one in wanted if _is_glob(one)}
    found = {folder for folders in inner.values() for folder in folders}
    below = sysfs.listings(found) if found else {}
    return {
        one: {folder: below[folder] for folder in inner[one]} if one in inner else {one: plain[one]} for one in wanted
    }


def _is_glob(folder: str) -> bool:
    return "*" in folder


def _fitting(glob: str, names: list[str]) -> list[str]:
    # the slash is of no use
    parent, _, pattern = glob.rpartition("/")  # pylint: disable=disallowed-name
    return [f"{parent}/{name}" for name in fnmatch.filter(names, pattern)][:_MOST_FOLDERS]


def _files(sysfs: Sysfs, there: dict[str, dict[str, list[str]]], wanted: str, names: str) -> Iterator[str]:
    for folder, entries in there[wanted].items():
        yield from (f"{folder}/{name}" for name in fnmatch.filter(entries, names))
        inner = [f"{folder}/{name}" for name in fnmatch.filter(entries, f"{names}.d")] if names != "*" else []
        for one, items in sysfs.listings(inner).items() if inner else ():
            yield from (f"{one}/{item}" for item in items)


class _Search:
    """One search, in which each file is read once."""

    def __init__(self, sysfs: Sysfs) -> None:
        self._sysfs = sysfs
        self._texts: dict[object, list[str]] = {}
        self._writers: set[object] = set()
        self._tried: set[object] = set()

    def is_writer(self, path: str, pattern: str, kind: str) -> bool:
        """Whether a file, comments left out, has the pattern.

        One that was taken before has not.
        """
        node = self._sysfs.regular(path)
        if node is None or node in self._writers or (node, pattern) in self._tried:
            return False
        self._tried.add((node, pattern))
        lines = self._lines(path, node)
        fits = not pattern or any(re.search(pattern, line) and not _only_reads(line) for line in lines)
        fits = fits or (PLAIN in pattern and self._calls_writer(lines))
        fits = fits or (kind == NETPLAN and _has_vf_of_netplan(lines))
        if fits:
            self._writers.add(node)
        return fits

    def _lines(self, path: str, node: object) -> list[str]:
        """Lines of a text; those that end in a backslash go on.

        Programs, and what cannot be read, have none.
        """
        if node not in self._texts:
            self._texts[node] = self._read(path) if len(self._texts) < _MOST_FILES else []
        return self._texts[node]

    def _read(self, path: str) -> list[str]:
        try:
            data = self._sysfs.read_bytes(path, _MOST_BYTES)
        except KernelError:
            return []
        if b"\0" in data:
            return []
        lines = data.decode(errors="replace").splitlines()
        first = lines[:1] if lines[:1] and lines[0].startswith("#!") else []
        kept = first + [line for line in lines if not line.lstrip().startswith(("#", ";"))]
        return "\n".join(kept).replace("\\\n", " ").splitlines()

    def _calls_writer(self, lines: Iterable[str]) -> bool:
        return any(self._is_writing_script(one) for line in lines for one in _PATH.findall(line))

    def _is_writing_script(self, path: str) -> bool:
        """Whether a program that a line names is a script that writes.

        A script that was found by itself is not named again by its callers.
        """
        node = None if path == PROGRAM else self._sysfs.regular(path)
        if node is None or node in self._writers:
            return False
        lines = self._lines(path, node)
        return "".join(lines[:1]).startswith("#!") and any(
            re.search(PLAIN, line) and not _only_reads(line) for line in lines
        )


def _only_reads(line: str) -> bool:
    return bool(_READS.search(line)) and not _WRITES.search(line)


def _has_vf_of_netplan(lines: list[str]) -> bool:
    """Whether an Ethernet interface has a ``link``, so it is a VF.

    netplan enables as many VFs as are defined (netplan_cli/cli/sriov.py).
    """
    section = ""
    for line in lines:
        found = _SECTION.match(line)
        if found and found.group(1) in ("ethernets", "vlans", "bonds", "bridges", "tunnels", "vrfs", "wifis"):
            section = found.group(1)
        if section == "ethernets" and re.search(r"(?:^|[{,\s])link\s*:", line):
            return True
    return False
