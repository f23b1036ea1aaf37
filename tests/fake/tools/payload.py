# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The payload of a module: its packed files and its size.

AnsiballZ packs the files; the size is in bytes, as Ansible sends it.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._node_program import imported

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
BUILD = PLUGINS.parent / "build/src"
PREFIX = "ansible_collections.kvmfleet.sriov.plugins.module_utils"


def packed(module: str) -> set[str]:
    """Names of the files that a module packs, below module_utils.

    They are dotted, packages included; ``module`` is one of plugins/modules.
    """
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


PROGRAM = """
import sys
from ansible.plugins.loader import init_plugin_loader, module_loader
init_plugin_loader([sys.argv[1]])
from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
for name in sys.argv[2:]:
    path = module_loader.find_plugin_with_context(name).plugin_resolved_path
    built = modify_module(
        module_name=name, module_path=path, module_args={}, templar=Templar(DataLoader()),
        task_vars={"ansible_python_interpreter": "/usr/bin/python3"}, module_compression="ZIP_DEFLATED",
    )
    print(len(built.b_module_data))
"""


def sent(scratch: Path, *modules: str, collections: Path = BUILD) -> list[int]:
    """The size in bytes that each of ``modules`` sends, without arguments.

    ``collections`` holds ansible_collections.

    Raises `subprocess.CalledProcessError` when Ansible cannot build one. Everything Ansible keeps is in ``scratch``.
    """
    own = {"ANSIBLE_HOME": str(scratch), "ANSIBLE_LOCAL_TEMP": str(scratch / "tmp")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(collections), *modules],
        env={**os.environ, **own, "ANSIBLE_COLLECTIONS_PATH": str(collections), "PYTHONPATH": ""},
        cwd=scratch, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [int(line) for line in done.stdout.split()]
