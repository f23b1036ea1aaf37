# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count the reads and programs of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.process import Run
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


class CountingSysfs(Sysfs):
    """Sysfs that counts its reads; a write fails the test.

    ``asked`` counts them by kind and path.
    """

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.asked: Counter[tuple[str, str]] = Counter()

    def exists(self, path: str) -> bool:
        self.asked["exists", path] += 1
        return super().exists(path)

    def read(self, path: str) -> str:
        self.asked["read", path] += 1
        return super().read(path)

    def read_bytes(self, path: str, limit: int) -> bytes:
        self.asked["read", path] += 1
        return super().read_bytes(path, limit)

    def locked(self, path: str) -> bool:
        self.asked["locked", path] += 1
        return super().locked(path)

    def names(self, path: str) -> list[str]:
        self.asked["names", path] += 1
        return super().names(path)

    def target(self, path: str) -> str | None:
        self.asked["target", path] += 1
        return super().target(path)

    def write(self, path: str, value: str) -> None:
        raise AssertionError(f"'{value}' was written to {path}")

    def write_within(self, path: str, value: str, owner: str, seconds: float) -> None:
        self.write(path, value)


class CountingRun:
    """A runner of programs that counts them by command (``asked``)."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.asked: Counter[str] = Counter()

    def __call__(self, argv: Sequence[str]) -> str:
        self.asked[" ".join(argv)] += 1
        return self._run(argv)
