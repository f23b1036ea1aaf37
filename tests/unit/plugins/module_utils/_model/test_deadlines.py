# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deadlines in one file, and the same values in roles."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import deadlines

ROOT = Path(__file__).parents[5]
ENGINE = ROOT / "plugins/module_utils"
LATER = {"_live_update", "_vm"}
"""Rooms whose numbers are still their own."""


def seconds_in(path: Path) -> list[str]:
    """Names ending in _S with a number, in a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, (ast.Constant, ast.Tuple)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            found += [name for name in names if name.endswith("_S")]
    return found


def test_no_other_file_has_deadlines() -> None:
    files = [path for path in ENGINE.rglob("*.py") if path.name != "deadlines.py" and path.parts[-2] not in LATER]
    assert {str(path): names for path in files if (names := seconds_in(path))} == {}


@pytest.mark.parametrize(
    ("role", "variable", "seconds"),
    [("sriov", "sriov_apply_wait", deadlines.BOOT_WAIT_S), ("live_update", "live_update_budget_s", deadlines.BUDGET_S)],
)
def test_roles_repeat_the_same(role: str, variable: str, seconds: float) -> None:
    assert yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text())[variable] == seconds
