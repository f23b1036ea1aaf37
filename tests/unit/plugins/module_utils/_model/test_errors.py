# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that refusals name: of modules, and of the roles around them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import errors

ROOT = Path(__file__).resolve().parents[5]
VARIABLES = {
    name
    for path in ROOT.glob("roles/*/meta/argument_specs.yml")
    for entry in yaml.safe_load(path.read_text())["argument_specs"].values()
    for name in entry["options"]
}
NAMED = (errors.FORCE, errors.ALLOW_DISRUPTIVE, errors.ALLOW_UNPROVEN, errors.TAKE_OVER)
OPTIONS = [text.partition(":")[0] for text in NAMED]
ALONE = re.compile(rf"\b(?:{'|'.join(OPTIONS)}): true(?! \(with the role)")
OF_NO_ROLE = {"_ansible/live_update_end.py": ["force: true"]}
"""Options of modules that no role gives."""


@pytest.mark.parametrize("text", NAMED)
def test_the_variable_of_the_role_is_one(text: str) -> None:
    option, variable = re.findall(r"(\w+): true", text)
    assert variable.endswith(f"_{option}")
    assert variable in VARIABLES


def test_no_message_names_the_option_of_the_module_alone() -> None:
    folder = ROOT / "plugins/module_utils"
    found = {str(path.relative_to(folder)): ALONE.findall(path.read_text()) for path in folder.rglob("*.py")}
    assert {name: texts for name, texts in found.items() if texts} == OF_NO_ROLE
