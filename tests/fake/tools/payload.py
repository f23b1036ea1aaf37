# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of this collection that AnsiballZ packs with a module: all imports count, lazy ones too."""

from __future__ import annotations

import ast
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._node_program import imported

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
PREFIX = "ansible_collections.kvmfleet.sriov.plugins.module_utils"


def packed(module: str) -> set[str]:
    """Dotted names below module_utils of what ``module`` (of plugins/modules) brings along, packages included."""
    folder = PLUGINS / "module_utils"
    names = _of_module((PLUGINS / "modules" / f"{module}.py").read_text(encoding="utf-8"), folder)
    found: set[str] = set()
    while names:
        name = names.pop()
        if name not in found:
            found.add(name)
            names += imported((folder / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8"), name, folder)
    return found | {name.rpartition(".")[0] for name in found}


def _of_module(source: str, folder: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            base = str(node.module)[len(PREFIX) + 1 :]
            plain = (folder / f"{base.replace('.', '/')}.py").is_file()
            names += [base] if plain else [f"{base}.{alias.name}" for alias in node.names]
    return names
