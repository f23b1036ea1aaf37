# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults at edges."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.qmp import QmpError
from tests.faults.edges import AFTER, CUT, ERROR, KILL, LIE, Edges, Strike, name_of


def edges(folder: Path, *strikes: Strike) -> Edges:
    return Edges(folder, list(strikes), lambda: (folder / "cut").touch())


def test_a_strike_fits_its_edge_at_its_time(tmp_path: Path) -> None:
    made = edges(tmp_path, Strike("run", "run ip", ERROR, nth=2, value="no"), Strike("run", "write", LIE, value=3))
    assert made.act("run ip link", lambda: "done") == "done"
    with pytest.raises(ToolError, match="no"):
        made.act("run ip link", lambda: "done")
    assert made.act("run ip link", lambda: "done") == "done"
    assert made.act("write /sys/x 1", lambda: pytest.fail("it is not done")) == 3
    assert {one.name for one in tmp_path.glob("struck-*")} == {"struck-run-0", "struck-run-1"}


def test_errors_are_those_of_their_edge(tmp_path: Path) -> None:
    with pytest.raises(QmpError, match="no"):
        edges(tmp_path, Strike("run", "cont", ERROR, value="no")).act("monitor web1 cont", lambda: None)
    with pytest.raises(OSError, match="No space") as caught:
        edges(tmp_path, Strike("run", "file", ERROR, value=errno.ENOSPC)).act("file x", lambda: None)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize(
    ("do", "when", "left"), [(KILL, "before", []), (KILL, AFTER, ["act"]), (CUT, AFTER, ["act", "cut"])]
)
def test_a_kill_is_one(tmp_path: Path, do: str, when: str, left: list[str]) -> None:
    child = os.fork()
    if not child:
        edges(tmp_path, Strike("run", "x", do, when)).act("x", lambda: (tmp_path / "act").touch())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert [name for name in ("act", "cut") if (tmp_path / name).exists()] == left


def test_names_of_files(tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.write_text(json.dumps({"state": "saved"}))
    assert name_of(str(new), "/x/vms/web1/claim.json") == "web1/claim.json saved"
    new.write_text(json.dumps({"phase": "armed"}))
    assert name_of(str(new), "/x/live-update/status.json") == "status.json armed"
    new.write_text("[]")
    assert name_of(str(new), "/x/y.json") == "y.json"
