# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patch series, and trees that are switched from one to another."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build import patch_series
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.patch_series import read_series, switch
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError

STOCK = {"drivers/pci/iov.c": "".join(f"line {n}\n" for n in range(1, 10)), "drivers/pci/pci.h": "a\nb\nc\n"}
LABEL = "series t does not apply to linux-source-6.12 6.12.1"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def make_series(folder: Path, states: list[dict[str, str]]) -> Path:
    """A series whose patches lead from each state to the next.

    The patches are made by git.
    """
    git = ["git", "-C", str(folder / "work"), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "--quiet", str(folder / "work")], check=True)
    for number, state in enumerate(states):
        subprocess.run([*git, "rm", "-rq", "--ignore-unmatch", "."], check=True)
        write(folder / "work", state)
        subprocess.run([*git, "add", "--all"], check=True)
        subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", f"Change {number}"], check=True)
    made = subprocess.run(
        [*git, "format-patch", "--quiet", "-o", str(folder / "t"), f"HEAD~{len(states) - 1}"], check=True
    )
    assert made.returncode == 0
    names = sorted(path.name for path in (folder / "t").glob("*.patch"))
    (folder / "t/series").write_text("# in order\n" + "".join(f"{name}\n" for name in names))
    return folder / "t"


TWO = {**STOCK, "drivers/pci/iov.c": STOCK["drivers/pci/iov.c"].replace("line 5", "five")}
NEW = {**TWO, "Documentation/new.rst": "new\n", "drivers/pci/pci.h": "a\nB\nc\n"}
GONE = {"drivers/pci/iov.c": NEW["drivers/pci/iov.c"], "Documentation/new.rst": "new\n"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write(tmp_path / "tree", {**STOCK, "other.c": "untouched\n"})


@pytest.mark.parametrize("states", [[STOCK, TWO], [STOCK, TWO, NEW], [STOCK, TWO, NEW, GONE]])
def test_apply_and_take_back(tree: Path, tmp_path: Path, states: list[dict[str, str]]) -> None:
    series = read_series(make_series(tmp_path, states))
    assert len(series) == len(states) - 1
    assert switch(tree, tmp_path / "store", series, LABEL)
    assert texts(tree) == {**states[-1], "other.c": "untouched\n"}
    assert switch(tree, tmp_path / "store", series, LABEL) == ()
    switch(tree, tmp_path / "store", (), LABEL)
    assert texts(tree) == {**STOCK, "other.c": "untouched\n"}


def test_only_what_differs_is_written(tree: Path, tmp_path: Path) -> None:
    patches = read_series(make_series(tmp_path, [STOCK, TWO, NEW]))
    switch(tree, tmp_path / "store", patches[:1], LABEL)
    before = (tree / "drivers/pci/iov.c").stat().st_mtime_ns
    assert switch(tree, tmp_path / "store", patches, LABEL) == ("Documentation/new.rst", "drivers/pci/pci.h")
    assert (tree / "drivers/pci/iov.c").stat().st_mtime_ns == before


def test_an_interrupted_switch_is_repaired(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = read_series(make_series(tmp_path, [STOCK, TWO, NEW]))
    real, calls = patch_series._put, []

    def dies_when_it_has_written_once(source: Path, target: Path) -> bool:
        if tree in target.parents:
            calls.append(target)
            if len(calls) > 1:
                raise KeyboardInterrupt
        return real(source, target)

    monkeypatch.setattr(patch_series, "_put", dies_when_it_has_written_once)
    with pytest.raises(KeyboardInterrupt):
        switch(tree, tmp_path / "store", series, LABEL)
    assert texts(tree) not in ({**STOCK, "other.c": "untouched\n"}, {**NEW, "other.c": "untouched\n"})
    monkeypatch.undo()
    switch(tree, tmp_path / "store", series, LABEL)
    assert texts(tree) == {**NEW, "other.c": "untouched\n"}
    switch(tree, tmp_path / "store", (), LABEL)
    assert texts(tree) == {**STOCK, "other.c": "untouched\n"}


@pytest.mark.parametrize("text", ["-1", "{", '["../outside"]', '["/etc/x"]', "[1]", "[" * 9000])
def test_a_damaged_list_of_pristine_texts(tree: Path, tmp_path: Path, text: str) -> None:
    """Nobody knows then what the source was."""
    series = read_series(make_series(tmp_path, [STOCK, TWO]))
    switch(tree, tmp_path / "base/store", series, LABEL)
    (tmp_path / "base/store/files.json").write_text(text)
    before = texts(tree)
    with pytest.raises(SriovError, match=f"files.json is damaged.*: delete {tmp_path}/base"):
        switch(tree, tmp_path / "base/store", (), LABEL)
    assert texts(tree) == before


# what the archive has moved to, and the file that the message must name
MOVED = [
    ({"drivers/pci/iov.c": STOCK["drivers/pci/iov.c"].replace("line 5", "other")}, "drivers/pci/iov.c"),
    ({"drivers/pci/iov.c": STOCK["drivers/pci/iov.c"].replace("line 2", "other")}, "drivers/pci/iov.c"),  # fuzz 1
    ({"drivers/pci/iov.c": None}, "drivers/pci/iov.c"),
    ({"drivers/pci/pci.h": "a\nB\nc\n"}, "drivers/pci/pci.h"),  # has it already
    ({"drivers/pci/pci.h": "x\ny\nz\n"}, "drivers/pci/pci.h"),
]


@pytest.mark.parametrize(("moved", "named"), MOVED)
def test_a_source_that_moved_past_the_series(
    tree: Path, tmp_path: Path, moved: dict[str, str | None], named: str
) -> None:
    series = read_series(make_series(tmp_path, [STOCK, TWO, NEW]))
    for name, text in moved.items():
        (tree / name).unlink() if text is None else (tree / name).write_text(text)
    before = texts(tree)
    with pytest.raises(BadInputError, match=f"{LABEL}: patch 000") as caught:
        switch(tree, tmp_path / "store", series, LABEL)
    assert f"fails in {named}." in str(caught.value)
    assert texts(tree) == before


def test_other_line_numbers_are_no_fuzz(tree: Path, tmp_path: Path) -> None:
    series = read_series(make_series(tmp_path, [STOCK, TWO]))
    (tree / "drivers/pci/iov.c").write_text("zero\n" + STOCK["drivers/pci/iov.c"])
    switch(tree, tmp_path / "store", series, LABEL)
    assert (tree / "drivers/pci/iov.c").read_text() == "zero\n" + TWO["drivers/pci/iov.c"]


# files of a series' folder, and what the refusal says
BAD = [
    ({"0001-a.patch": "diff --git a/x b/x\n"}, "is missing; it lists the patches in order"),
    ({"series": "0001-a.patch\n"}, "series lists '0001-a.patch', which is not there"),
    ({"series": "a.patch\n", "a.patch": "prose\n"}, "not a patch in git format"),
]


@pytest.mark.parametrize(("files", "message"), BAD)
def test_bad_series(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read_series(write(tmp_path / "t", files))
