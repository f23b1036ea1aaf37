# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packer of ``sriovctl``: the engine as one file that Python runs.

The bytes are the same wherever and whenever it is packed.
"""

from __future__ import annotations

import ast
import fcntl
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

PACKAGE = "kvmfleet_sriov"
ROOT = "_sriovctl.cli"
SHEBANG = b"#!/usr/bin/python3 -IS\n"
"""Interpreter without environment, user site and packages.

The program needs the standard library alone.
"""

MAIN = f"""# SPDX-License-Identifier: GPL-3.0-or-later
import sys

from {PACKAGE}.{ROOT} import main

sys.exit(main())
"""


def pack(folder: Path | None = None) -> bytes:
    """Pack the engine in ``folder``, by default this collection's module_utils."""
    sources = needed(folder or Path(__file__).resolve().parents[1] / "module_utils")
    files = {f"{PACKAGE}/{name.replace('.', '/')}.py": text for name, text in sources.items()}
    packages = {f"{PACKAGE}/__init__.py"} | {f"{path.rpartition('/')[0]}/__init__.py" for path in files}
    return SHEBANG + archive({"__main__.py": MAIN, **dict.fromkeys(packages, ""), **files})


def packed_once(folder: Path) -> Path:
    """The program as a file in ``folder``, packed where it is missing.

    Ansible has a process for each host, and packing takes half a second: the first one does it, others wait.
    """
    path = folder / "kvmfleet-sriovctl"
    with (folder / "kvmfleet-sriovctl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            new = path.with_suffix(".new")
            new.write_bytes(pack())
            new.replace(path)
    return path


def needed(folder: Path, root: str = ROOT) -> dict[str, str]:
    """Sources by dotted name: ``root`` and all its imports below ``folder``."""
    found: dict[str, str] = {}
    names = [root]
    while names:
        name = names.pop()
        if name not in found:
            found[name] = (folder / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
            names += imported(found[name], name, folder)
    return found


def imported(source: str, name: str, folder: Path) -> list[str]:
    """Modules that ``source`` imports relatively, as dotted names.

    ``source`` is the text of the module ``name`` below ``folder``.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = [*name.split(".")[: -node.level], *(node.module or "").split(".")]
            base = ".".join(filter(None, parts))
            if (folder / f"{base.replace('.', '/')}.py").is_file():
                found.append(base)
            else:
                found += [f"{base}.{alias.name}".lstrip(".") for alias in node.names]
    return found


def archive(files: Mapping[str, str]) -> bytes:
    """A zip archive that depends on names and contents only.

    It is sorted, undated and uncompressed.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            packed.writestr(entry, files[name])
    return buffer.getvalue()
