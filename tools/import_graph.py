# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The graph of imports among the repository's Python files.

Every import counts: in functions, for annotations only, and what pytest loads by itself (conftest.py). A file that
finds others by another way than import, by their path or by a name in a text, can rest on any file: it is `open_ended`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

PREFIXES = {"ansible_collections.kvmfleet.sriov.": "", "kvmfleet_sriov.": "plugins/module_utils/"}
"""Package names: in Ansible, and in the engine packed for hosts."""
ROOTS = ("", "tests/conformance/", "tests/conformance/engine/")
"""Folders in which other imports start (pyproject.toml, pythonpath)."""
ENGINE = "plugins/module_utils/"
OPEN_ENDED = re.compile(r"__file__|\bREPOSITORY\b|\bpkgutil\b|\bimport_module\b|\brunpy\b|\bsys\.executable\b")
"""By what a file finds others, or starts a program that does."""
IN_ENGINE = re.compile(r"__file__|\bpkgutil\b|\bimport_module\b")
"""The same in the engine, whose programs are imported as texts."""
CONFTEST = "conftest.py"


class Graph:
    """The imports among ``files`` (paths relative to ``root``).

    Those that are not there any more import nothing.
    """

    def __init__(self, root: Path, files: Iterable[str]) -> None:
        self.root = root
        self.files = {name for name in files if name.endswith(".py")}
        self._direct: dict[str, set[str]] = {}
        self._texts: dict[str, str] = {}
        self._closures: dict[str, set[str]] = {}
        self._found: dict[str, bool] = {}

    def is_there(self, file: str) -> bool:
        return (self.root / file).is_file()

    def text(self, file: str) -> str:
        """The file's text, read once."""
        if file not in self._texts:
            self._texts[file] = (self.root / file).read_text(encoding="utf-8") if self.is_there(file) else ""
        return self._texts[file]

    def direct(self, file: str) -> set[str]:
        """The files that a file imports itself, with packages above them."""
        if file not in self._direct:
            names = imported(ast.parse(self.text(file)), file)
            found = {path for name in names for path in self.resolve(name)}
            self._direct[file] = found | self._packages(file) - {file}
        return self._direct[file]

    def closure(self, file: str) -> set[str]:
        """The file and all its imports, direct and indirect."""
        if file not in self._closures:
            found: set[str] = set()
            waiting = [file]
            while waiting:
                one = waiting.pop()
                if one not in found:
                    found.add(one)
                    waiting.extend(self.direct(one) - found)
            self._closures[file] = found
        return self._closures[file]

    def distance(self, file: str, targets: set[str]) -> int | None:
        """The least number of imports from a file to one of ``targets``.

        None when no import leads there.
        """
        seen: set[str] = set()
        layer, steps = {file}, 0
        while layer:
            if layer & targets:
                return steps
            seen |= layer
            layer = {found for one in layer for found in self.direct(one)} - seen
            steps += 1
        return None

    def open_ended(self, file: str) -> bool:
        """Whether the file finds others by another way than import.

        What it imports counts too.
        """
        return any(self._finds_files(one) for one in self.closure(file))

    def _finds_files(self, file: str) -> bool:
        if file not in self._found:
            pattern = IN_ENGINE if file.startswith(ENGINE) else OPEN_ENDED
            self._found[file] = Path(file).name != CONFTEST and bool(pattern.search(self.text(file)))
        return self._found[file]

    def resolve(self, name: str) -> Iterator[str]:
        """The files that importing a dotted name loads.

        That is a module, and the packages above it.
        """
        for prefix, folder in PREFIXES.items():
            if name.startswith(prefix):
                yield from self._under(folder, name.removeprefix(prefix).split("."))
                return
        for folder in ROOTS:
            yield from self._under(folder, name.split("."))

    def _under(self, folder: str, parts: list[str]) -> Iterator[str]:
        path = folder
        for part in parts:
            for candidate in (f"{path}{part}.py", f"{path}{part}/__init__.py"):
                if candidate in self.files:
                    yield candidate
            path += f"{part}/"

    def _packages(self, file: str) -> set[str]:
        """The conftest.py and __init__.py of the folders above a file."""
        folders = [*Path(file).parents]
        return {
            name for folder in folders for name in map(str, (folder / CONFTEST, folder / "__init__.py"))
        } & self.files


def imported(tree: ast.Module, file: str) -> set[str]:
    """Dotted names that a file imports.

    Of `from a import b` both, for ``b`` may be a file.
    """
    package = Path(file).parent.parts
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = [*package[: len(package) - node.level + 1]] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names
