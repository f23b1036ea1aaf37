# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths on the host: each in one file, repeated by roles only.

What roles and units repeat is the same.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import (
    boot_paths,
    libvirt_paths,
    paths,
    update_paths,
)

ROOT = Path(__file__).resolve().parents[5]
CODE = [
    path for folder in ("module_utils", "plugin_utils", "action", "filter")
    for path in sorted((ROOT / "plugins" / folder).rglob("*.py"))
]  # fmt: skip
ROLES = [path for path in sorted((ROOT / "roles").rglob("*")) if path.is_file() and path.suffix in (".yml", ".j2")]
NAMED = {**vars(paths), **vars(update_paths), **vars(boot_paths), **vars(libvirt_paths)}
VALUES = {value for name, value in NAMED.items() if name.isupper() and name != "PCI_ADDRESS"}
OURS = re.compile(r"/(?:run|var/lib|etc)/kvmfleet-sriov[\w./-]*")
LITERALS = sorted({OURS.pattern, r"/sys/bus/pci", *map(re.escape, VALUES)})


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a source, without docstrings."""
    tree = ast.parse(path.read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


def test_no_other_source_has_the_text_of_a_path() -> None:
    literal = re.compile("|".join(LITERALS))
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in CODE
        if path.name not in ("boot_paths.py", "libvirt_paths.py", "paths.py", "update_paths.py")
        for line, text in texts(path)
        if literal.search(text)
    ]
    assert found == []


def test_no_other_source_has_a_pattern_of_pci_addresses() -> None:
    known = [path for path in CODE if re.search(r"\[0-9a-f\]\{2\}:\S*\\\.\[0-7\]", path.read_text())]
    assert [path.name for path in known] == ["paths.py"]


def test_roles_name_the_same_files() -> None:
    """Files of ours, or folders above them, as in RequiresMountsFor."""
    good = VALUES | {str(parent) for value in VALUES for parent in Path(value).parents}
    found = {(str(path.relative_to(ROOT)), name) for path in ROLES for name in OURS.findall(path.read_text())}
    assert {name for _path, name in found} >= {paths.HOST_DOCUMENT, paths.LIVE_UPDATE, paths.LAST_APPLY}
    assert [one for one in sorted(found) if one[1].rstrip("/.") not in good] == []


@pytest.mark.parametrize(
    ("role", "name", "value"),
    [
        ("sriov", "sriov_document", paths.HOST_DOCUMENT),
        ("sriov", "sriov_program", paths.PROGRAM),
        ("live_update", "live_update_folder", paths.LIVE_UPDATE),
        ("live_update", "live_update_resume_unit", update_paths.RESUME_UNIT),
    ],
)
def test_variables_of_roles(role: str, name: str, value: str) -> None:
    assert yaml.safe_load((ROOT / "roles" / role / "vars/main.yml").read_text())[name] == value


def test_the_resume_unit_is_the_one_of_the_role() -> None:
    unit = (ROOT / "roles/sriov/templates" / f"{update_paths.RESUME_UNIT}.j2").read_text()
    assert f"ConditionKernelCommandLine={paths.UPDATE_PARAMETER}\n" in unit
