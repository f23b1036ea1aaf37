# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each host says what to set where facts are variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fake.fleet.played import Fleet

ROOT = Path(__file__).parents[3]
NAME = "Require that facts of hosts are no variables"
FIX = (
    "Set inject_facts_as_vars = False below [defaults] in ansible.cfg, or ANSIBLE_INJECT_FACT_VARS=False in the "
    "environment."
)
FILES = [*sorted(ROOT.glob("playbooks/*.yml")), *sorted(ROOT.glob("roles/*/tasks/*.yml"))]


def requirements() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each task that requires it, with its file."""
    for path in FILES:
        found = yaml.safe_load(path.read_text())
        for task in [task for one in found for task in one.get("tasks", [one])]:
            if task.get("name") == NAME and "ansible.builtin.assert" in task:
                yield path, task


def test_each_host_answers_for_itself() -> None:
    """A host without a failed task has no reason to report."""
    found = list(requirements())
    assert {path.parent.name if path.parent.name == "playbooks" else path.parents[1].name for path, _task in found} == {
        "playbooks", "kernel_build", "kernel_deploy", "live_update",
    }  # fmt: skip
    for path, task in found:
        assert set(task) == {"name", "ansible.builtin.assert"}, path
        assert task["ansible.builtin.assert"]["fail_msg"].endswith(f"No host is touched. {FIX}"), path


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--check"]], ids=["run", "check"])
def test_all_hosts_say_what_to_set(fleet: Fleet, words: list[str]) -> None:
    for name in ("h1", "h2", "h3"):
        fleet.host(name)
    fleet.inject_facts = "True"
    done = fleet.run(*words)
    assert done.returncode == 2, done.stdout
    assert "is undefined" not in done.stdout + done.stderr
    for name in ("h1", "h2", "h3"):
        assert re.search(rf"fatal: \[{name}\]: FAILED!.*{re.escape(FIX)}", done.stdout), done.stdout
        assert fleet.log(name) == []
    assert not (fleet.folder / "out").exists()
