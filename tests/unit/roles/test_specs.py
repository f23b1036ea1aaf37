# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specs of roles, against their defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROLES = sorted((Path(__file__).parents[3] / "roles").iterdir())
REQUIRED = {
    "sriov": {"sriov_pfs"},
    "live_update": {"live_update_kernel"},
    "kernel_deploy": {"kernel_deploy_manifest"},
    "kernel_build": set(),
}
"""What a role must not make up.

A name typed wrong would declare nothing, and write an empty host document.
"""


@pytest.mark.parametrize("role", ROLES, ids=[role.name for role in ROLES])
def test_what_is_required_has_no_default(role: Path) -> None:
    options = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    required = {name for name, option in options.items() if option.get("required")}
    assert required >= REQUIRED[role.name]
    assert required & set(defaults) == set()
    assert {name for name in required if "default" in options[name]} == set()


@pytest.mark.parametrize("role", ROLES, ids=[role.name for role in ROLES])
def test_no_task_overwrites_a_variable_of_the_role(role: Path) -> None:
    """What a task registers wins over the role's variables of that name."""
    found: dict[str, object] = {}
    for name in ("defaults", "vars"):
        path = role / name / "main.yml"
        found.update(yaml.safe_load(path.read_text()) or {} if path.exists() else {})
    registered = {
        name
        for path in (role / "tasks").glob("*.yml")
        for name in re.findall(r"^\s+register: (\w+)", path.read_text(), re.M)
    }
    assert registered & set(found) == set()
