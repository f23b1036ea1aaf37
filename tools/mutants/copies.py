# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of this checkout, in which faults are planted."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .mutant import Mutant, planted
from .rests import Tree


def listed(root: Path) -> list[str]:
    """Names of the checkout's tracked and new files that are there."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=True).stdout.decode().split("\0")
    return sorted({name for name in names if name and (root / name).is_file()})


def copy(root: Path, names: Iterable[str], target: Path) -> None:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target / name, follow_symlinks=False)


@contextmanager
def fault(folder: Path, mutant: Mutant) -> Iterator[None]:
    """Plant the fault in the copy at ``folder``, and restore the file.

    Its times are restored too: bytecode is recognised by them.
    """
    path = folder / mutant.file
    before, times = path.read_text(encoding="utf-8"), path.stat()
    path.write_text(planted(mutant, before), encoding="utf-8")
    os.utime(path, (times.st_atime, times.st_mtime + 10))
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


class Copies:
    """Copies of a checkout, each for one worker at a time.

    ``tree`` has their contents without any fault.
    """

    def __init__(self, root: Path, folder: Path, number: int) -> None:
        names = listed(root)
        plain, *self.folders = [folder / str(index) for index in range(number + 1)]
        copy(root, names, plain)
        self.tree = Tree(plain, names)
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for path in self.folders:
            copy(plain, names, path)
            self._free.put(path)

    @contextmanager
    def one(self) -> Iterator[Path]:
        folder = self._free.get()
        try:
            yield folder
        finally:
            self._free.put(folder)
