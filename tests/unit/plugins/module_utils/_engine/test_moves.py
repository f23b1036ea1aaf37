# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Budget of one apply of one PF: derivations of the goal, moves.

A move is a call into another file of ``module_utils`` than the call before it; calls of a thread follow each other.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils import _plan
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import document
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import converge
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

ROOMS = str(Path(str(_plan.__file__)).resolve().parent.parent)
WANTED = {"hardware_vfs": 3, "present_vfs": "all", "vfs": [{"ids": 0, "mac": "02:00:00:00:00:01", "vlan": 100}]}
MOST_MOVES, MOST_DERIVATIONS = 300, 3


class Walk:
    """Calls into files of ``module_utils``, as `sys.setprofile` reports them."""

    def __init__(self) -> None:
        self.moves: Counter[tuple[str, str]] = Counter()
        self.derivations = 0
        self._last: dict[int, str] = {}

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        file = frame.f_code.co_filename
        if event != "call" or "module_utils" not in file or not str(Path(file).resolve()).startswith(ROOMS):
            return
        self.derivations += frame.f_code.co_name == "goal_of"
        thread = threading.get_ident()
        if self._last.get(thread) not in (None, file):
            self.moves[self._last[thread], file] += 1
        self._last[thread] = file

    def total(self) -> int:
        return sum(self.moves.values())

    def of(self, act: Callable[[], Any]) -> None:
        sys.setprofile(self)
        threading.setprofile(self)
        try:
            act()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)


def fresh(folder: Path) -> tuple[FakePf, Callable[[], Any]]:
    """A PF without VFs, and its apply."""
    host = FakeHost(folder, "vf-id", ("igb", "igbvf"))
    pf = host.igb()
    wanted = document.validate({"pfs": [{"pf": pf.address, **WANTED}]})
    return pf, lambda: converge.converge(host.sysfs, host.run, wanted)


def test_one_apply_of_one_pf_stays_in_few_files(tmp_path: Path) -> None:
    fresh(tmp_path / "before")[1]()  # what is imported late is imported by now
    walk = Walk()
    pf, apply = fresh(tmp_path / "host")
    walk.of(apply)
    assert pf.enabled == 3
    assert pf.properties[0]["vlan"] == 100
    assert walk.derivations <= MOST_DERIVATIONS
    assert walk.total() <= MOST_MOVES, "".join(
        f"\n{times} {Path(a).stem} -> {Path(b).stem}" for (a, b), times in walk.moves.most_common()
    )
