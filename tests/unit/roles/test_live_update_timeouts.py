# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No task of role live_update waits for a host for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

TASKS = Path(__file__).resolve().parents[3] / "roles/live_update/tasks"
OF_THE_CONTROLLER = (
    "set_fact", "assert", "debug", "fail", "include_tasks", "import_tasks", "include_role", "live_update_report",
)  # fmt: skip


def tasks(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        inner = [one for key in ("block", "rescue", "always") for one in item.get(key, ())]
        yield from tasks(inner) if inner else [item]


def waits(task: dict[str, Any]) -> bool:
    (module,) = [key for key in task if "." in key]
    options = task[module] if isinstance(task[module], dict) else {}
    there = task.get("delegate_to") != "localhost" and module.rpartition(".")[2] not in OF_THE_CONTROLLER
    return there and "timeout" not in task and "timeout" not in options


@pytest.mark.parametrize("file", sorted(TASKS.glob("*.yml")), ids=lambda file: str(file.stem))
def test_each_task_on_a_host_has_a_deadline(file: Path) -> None:
    """One host that hangs holds up the others of its batch."""
    found = list(tasks(yaml.safe_load(file.read_text())))
    assert found
    assert [task["name"] for task in found if waits(task)] == []


def test_a_task_without_one_is_noticed() -> None:
    assert waits({"name": "x", "ansible.builtin.command": {"argv": ["true"]}})
    assert not waits({"name": "x", "kvmfleet.sriov.live_update_wait": {"timeout": 3}})
