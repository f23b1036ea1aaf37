"""The text that decides a conformance case's result."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.kernels import cases, evidence

FILES = {
    "run.py": '''"""Runs cases."""
import harness

def main(pf):
    harness.run(pf)

def unused():
    pass
''',
    "run_jumps.py": """
import sys
from jumps import jump
sys.path.insert(0, '.')

def main():
    return jump
""",
    "harness.py": """
def case(**_more):
    return lambda run: run

def run(pf):
    return pf

def other(): ...
""",
    "jumps.py": "def jump(**_more): ...\n",
    "kept.py": '''
import many_vfs
FEW = 2
"""VFs."""

def number():
    return FEW

def many():
    return many_vfs.N
''',
    "many_vfs.py": "N = 9\n",
    "cases_a.py": '''
from harness import case
from kept import number
import kept

@case()
def case_few(pf):
    """A few."""
    number()  # two

@case(vfs=5)
def case_all(pf):
    kept.many()
''',
    "cases_b.py": """
from harness import case

@case(words='pci=x')
def case_word(pf):
    pass
""",
    "jumps_c.py": """
from jumps import jump

@jump()
def jump_there(pf, note):
    pass

@jump_there.after
def later(pf, note):
    check()

def check():
    pass
""",
}
NAMES = ["few", "all", "word", "there"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def digests(folder: Path) -> dict[str, str]:
    return {name: one.digest for name, one in cases.sources(folder).items()}


def test_cases_and_jumps_in_order(folder: Path) -> None:
    found = cases.sources(folder)
    assert list(found) == NAMES
    assert [name for name, one in found.items() if one.jumps] == ["word", "there"]
    assert [name for name, one in found.items() if one.many] == ["all"]


# an edit of one file: its old text, its new text, and the cases whose results are no longer known
EDITS = [
    ("cases_a.py", "number()  # two", "number()", []),
    ("cases_a.py", "A few.", "Some.", []),
    ("kept.py", "VFs.", "As many.", []),
    ("run.py", "    pass\n", "    return\n", []),
    ("harness.py", "def other(): ...", "def another(): ...", []),
    ("cases_a.py", "number()  # two", "number() or 1", ["few"]),
    ("cases_a.py", "vfs=5", "vfs=6", ["all"]),
    ("kept.py", "FEW = 2", "FEW = 3", ["few"]),
    ("many_vfs.py", "N = 9", "N = 8", ["all"]),
    ("jumps_c.py", "check():\n    pass", "check():\n    return", ["there"]),
    ("jumps_c.py", "note):\n    check()", "note):\n    check(), 1", ["there"]),
    ("jumps.py", "...", "pass", ["word", "there"]),
    ("run_jumps.py", "'.'", "'/'", ["word", "there"]),
    ("harness.py", "return pf", "return 1", NAMES),
    ("run.py", "harness.run(pf)", "harness.run(pf, 1)", NAMES),
]


@pytest.mark.parametrize(("file", "old", "new", "changed"), EDITS)
def test_an_edit_changes_what_rests_on_it(folder: Path, file: str, old: str, new: str, changed: list[str]) -> None:
    before = digests(folder)
    assert FILES[file].count(old) == 1
    (folder / file).write_text(FILES[file].replace(old, new))
    after = digests(folder)
    assert [name for name in NAMES if after[name] != before[name]] == changed


def test_another_name_of_a_file_changes_nothing(folder: Path) -> None:
    before = digests(folder)
    (folder / "cases_b.py").rename(folder / "cases_z.py")
    (folder / "kept.py").rename(folder / "preserved.py")
    text = FILES["cases_a.py"].replace("from kept", "from preserved").replace("import kept", "import preserved as kept")
    (folder / "cases_a.py").write_text(text)
    assert digests(folder) == before


def test_a_file_that_is_handed_on_whole_counts_whole(folder: Path) -> None:
    (folder / "cases_b.py").write_text("import kept\n" + FILES["cases_b.py"].replace("pass", "pf(kept)"))
    assert cases.sources(folder)["word"].many


def test_the_real_cases_are_those_that_the_host_collects() -> None:
    found = cases.sources(evidence.CASES)
    assert len(found) > 100
    assert found["many_across_buses"].many
    assert not found["scan_adds_one_id"].many
    assert {one.file for one in found.values() if one.jumps} == {
        "cases_adopted", "cases_doubts", "cases_drivers", "cases_kept", "jumps_kept",
    }  # fmt: skip
