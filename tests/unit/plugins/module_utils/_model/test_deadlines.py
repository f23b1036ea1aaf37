# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deadlines in one place, and the same values in roles."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import deadlines, update_deadlines

ROOT = Path(__file__).parents[5]
ENGINE = ROOT / "plugins/module_utils"


def seconds_in(path: Path) -> list[str]:
    """Names of seconds with a number but 0, and sleeps for one."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, (ast.Constant, ast.Tuple)):
            if getattr(node.value, "value", None) == 0:
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            found += [name for name in names if re.search("(?<!_mib)_s$", name.lower())]
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "").endswith("sleep"):
            found += [f"sleep({value.value!r})" for value in node.args if isinstance(value, ast.Constant)]
    return found


def test_no_other_file_has_deadlines() -> None:
    files = [path for path in ENGINE.rglob("*.py") if path.name not in ("deadlines.py", "update_deadlines.py")]
    assert {path.name: names for path in files if (names := seconds_in(path))} == {}


def test_one_that_stands_elsewhere_is_found(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("A_S = 3.0\nclass B:\n    c_s: float = 2.0\n    rate_mib: float = 1.0\nhost.sleep(0.5)\n")
    assert sorted(seconds_in(file)) == ["A_S", "c_s", "sleep(0.5)"]


@pytest.mark.parametrize(
    ("role", "variable", "seconds"),
    [
        ("sriov", "sriov_apply_wait", deadlines.BOOT_WAIT_S),
        ("live_update", "live_update_budget_s", update_deadlines.BUDGET_S),
    ],
)
def test_roles_repeat_the_same(role: str, variable: str, seconds: float) -> None:
    assert yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text())[variable] == seconds
