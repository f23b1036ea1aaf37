# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code of managed hosts on their oldest Python, as a stage.

Its grammar is checked by any Python. With that Python every file of the engine is imported, and the tests of rooms that
only think are run; `make unit-python39` runs those of all rooms. Where there is none, that part is skipped by name.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.inputs import ROOT

VERSION = (3, 9)
TESTS = ROOT / "tests/unit/plugins/module_utils"
ROOMS = ("_model", "_document", "_plan", "_tools")
NEEDS_ANSIBLE = "_document/test_yaml_text.py"
OF_ANSIBLE = re.compile(r"^from ansible\.", re.MULTILINE)
"""Files that need Ansible, which has no such Python, are not imported."""
LATER = {"zip": "strict"}
"""Keywords of functions that came later, which no import finds."""
IMPORT = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


def files(root: Path = ROOT) -> list[Path]:
    """Python files that are sent to managed hosts."""
    folders = ("plugins/module_utils", "plugins/modules")
    return sorted(path for folder in folders for path in (root / folder).rglob("*.py"))


def mistakes(paths: Iterable[Path]) -> Iterator[str]:
    """What that Python has not, a line each: grammar, and keywords."""
    for path in paths:
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=VERSION)
        except SyntaxError as error:
            yield f"FAIL {path}:{error.lineno}: {error.msg}"
            continue
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", "")
            if LATER.get(name) in [word.arg for word in call.keywords if word.arg]:
                yield f"FAIL {path}:{call.lineno}: {name} has no {LATER[name]} there"


def module(path: Path) -> str:
    """The name that a file of the engine is imported by."""
    place = path.relative_to(ROOT).with_suffix("")
    return ".".join(("ansible_collections.kvmfleet.sriov", *place.parts)).removesuffix(".__init__")


def tested(python: Path) -> tuple[int, int]:
    """Numbers of checks of that Python that passed and failed."""
    engine = [path for path in files() if "module_utils" in path.parts]
    names = [module(path) for path in engine if not re.search(OF_ANSIBLE, path.read_text(encoding="utf-8"))]
    imported = subprocess.run(
        [str(python), "-c", IMPORT, *names], env={"PYTHONPATH": str(ROOT / "build/src")}
    ).returncode
    words = ["-q", "-n", "2", "-m", "not slow and not heavy", *(str(TESTS / room) for room in ROOMS)]
    argv = [str(python), "-m", "pytest", *words, "--ignore", str(TESTS / NEEDS_ANSIBLE)]
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    counts = {kind: int(number) for number, kind in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    failed = counts.get("failed", 0) + counts.get("error", 0)
    return counts.get("passed", 0) + (imported == 0), (failed or int(done.returncode != 0)) + (imported != 0)


def main(python: str = "") -> int:
    """The stage; ``python`` is that of the environment for tests, if any."""
    found = list(mistakes(files()))
    print(*found, sep="\n", end="\n" if found else "")
    passed, failed = int(not found), len(found)
    if python:
        more = tested(Path(python))
        print(f"{passed + more[0]} passed, {failed + more[1]} failed")
        return int(bool(failed + more[1]))
    print("python39: only the grammar, as there is no Python 3.9 here: neither python3.9 on the PATH nor one of pyenv")
    print(f"{passed} passed, {failed} failed, 1 skipped")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
