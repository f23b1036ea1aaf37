# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches of all kinds, and what they declare."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.patch_series import read_series, switch
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.patched import seen
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError

LABEL = "series t does not apply to linux-source-6.12 6.12.1"


def original(work: Path) -> None:
    """Files of all kinds."""
    (work / "d").mkdir(parents=True)
    for name in ("d/x", "a b", 'é"t\\', "program", "renamed", "copied", "from"):
        (work / name).write_text(f"{name}\n" + "".join(f"{n}\n" for n in range(20)))
    (work / "unterminated").write_text("no end")
    (work / "link").symlink_to("d/x")
    (work / "old link").symlink_to("gone")


def replaced_by_a_file(work: Path) -> None:
    (work / "link").unlink()
    (work / "link").write_text("a file\n")


def renamed_and_changed(work: Path) -> None:
    (work / "renamed").rename(work / "d/other name")
    (work / "d/other name").write_text((work / "d/other name").read_text() + "more\n")


def linked(name: str, target: str) -> Callable[[Path], None]:
    def act(work: Path) -> None:
        (work / name).unlink(missing_ok=True)
        (work / name).symlink_to(target)

    return act


def wrote(name: str, text: str) -> Callable[[Path], object]:
    return lambda work: (work / name).write_text(text)


KINDS: dict[str, Callable[[Path], object]] = {
    "a name with a blank": wrote("a b", "other\n"),
    "a new name with a blank": wrote("d/e f", "other\n"),
    "a quoted name": wrote('é"t\\', "other\n"),
    "a new link": linked("d/new", "x"),
    "a link that leads elsewhere": linked("link", "program"),
    "a link that goes": lambda work: (work / "old link").unlink(),
    "a link that becomes a file": replaced_by_a_file,
    "a mode": lambda work: (work / "program").chmod(0o755),
    "an empty file": lambda work: (work / "d/empty").touch(),
    "a rename": renamed_and_changed,
    "a copy": lambda work: (work / "d/copy").write_text((work / "copied").read_text()),
    "no line end": wrote("unterminated", "still no end"),
    "a file that goes": lambda work: (work / "from").unlink(),
}


def git(work: Path, *words: str) -> str:
    argv = ["git", "-C", str(work), "-c", "user.name=t", "-c", "user.email=t@example.org", *words]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout.decode()


def made(tmp_path: Path, act: Callable[[Path], object]) -> str:
    """The patch of an act, by git.

    ``tmp_path/wanted`` is left as the act made it.
    """
    original(tmp_path / "wanted")
    git(tmp_path / "wanted", "init", "--quiet")
    for step in (lambda work: None, act):
        step(tmp_path / "wanted")
        git(tmp_path / "wanted", "add", "--all")
        git(tmp_path / "wanted", "commit", "--quiet", "-m", "Change")
    text = git(tmp_path / "wanted", "format-patch", "--stdout", "--find-copies-harder", "-1")
    subprocess.run(["rm", "-rf", str(tmp_path / "wanted/.git")], check=True)
    return text


def series(tmp_path: Path, text: str) -> Path:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/series").write_text("a.patch\n")
    (tmp_path / "t/a.patch").write_text(text)
    return tmp_path / "t"


@pytest.mark.parametrize("kind", KINDS)
def test_applied_and_taken_back(tmp_path: Path, kind: str) -> None:
    original(tmp_path / "tree")
    before = seen(tmp_path / "tree")
    patches = read_series(series(tmp_path, made(tmp_path, KINDS[kind])))
    assert switch(tmp_path / "tree", tmp_path / "store", patches, LABEL)
    assert seen(tmp_path / "tree") == seen(tmp_path / "wanted") != before
    assert switch(tmp_path / "tree", tmp_path / "store", patches, LABEL) == ()
    assert switch(tmp_path / "tree", tmp_path / "store", (), LABEL)
    assert seen(tmp_path / "tree") == before


X = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
BARE = "--- /dev/null\n+++ b/y\n@@ -0,0 +1 @@\n+a\n"

# parts that GNU patch passes over or puts elsewhere, and what the refusal says
LOST = [
    ("message\n" + BARE + X, r"line 3, '\+\+\+ b/y', changes something without a 'diff --git' line"),
    (X + BARE, r"line 7, '--- /dev/null', is no part of a change"),
    (X + "-- \n2.39.5\n" + BARE, r"'\+\+\+ b/y', changes something without"),
    (X.replace("@@ -1 +1 @@", "@@ -1 +1"), r"'@@ -1 \+1', should begin with '@@ -N,N \+N,N @@'"),
    (X + "@@ -9 +9 @\n-c\n+d\n", "line 7, '@@ -9 .9 @', is no part of a change"),
    (X.replace("@@ -1 +1 @@", "@@ -1,2 +1,2 @@"), "its end is no line of a hunk, which is cut off"),
    (X.replace("@@ -1 +1 @@", "@@ -1 +0,0 @@"), r"line 6, '\+b', is no part of a change"),
    ("diff --git a/x b/x\nrename from x\nrename to ../../y\n", "leads out of the source tree: ../../y, x"),
    ("diff --git a/x b/x\nrename to y\n", "comes where a name that .* needs should be"),
    (X.replace("+++ b/x", "+++ b/../x"), r"line 3, '\+\+\+ b/../x', should be '\+\+\+ ' and the file that"),
    (X.replace("--- a/x", "--- a/y"), "line 2, '--- a/y', should be '--- ' and the file"),
    ("diff --git a/x b/x\nnew file mode 160000\n", "line 2, 'new file mode 160000', has a mode that no file"),
    ("diff --git a/x b/x\nindex 12..34 100644\nGIT binary patch\n", "line 3, 'GIT binary patch', is a binary change"),
    ("diff --git a/x b/x\nindex 12..34\nsomething\n", "line 3, 'something', is no part of a change"),
    ("diff --git x y\n", "line 1, 'diff --git x y', does not name a file below a/"),
    (X + X.replace("/x", "//etc/x"), "leads out of the source tree: /etc/x, x"),
    (X.replace("\n", "\r\n"), "line [12], '.*r', "),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), LOST)
def test_parts_that_would_be_lost(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read_series(series(tmp_path, text))


def test_names_below_links_are_refused(tmp_path: Path) -> None:
    """A tree's link may lead out of it."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "tree/link").symlink_to("../outside")
    new = "diff --git a/link/y b/link/y\nnew file mode 100644\n--- /dev/null\n+++ b/link/y\n@@ -0,0 +1 @@\n+a\n"
    with pytest.raises(BadInputError, match="'link/y' would be below 'link', which is a symbolic link"):
        switch(tmp_path / "tree", tmp_path / "store", read_series(series(tmp_path, new)), LABEL)
    assert not list((tmp_path / "outside").iterdir())


def test_a_program_that_does_half_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever patch(1) passes over, and ends well."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/x").write_text("a\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/patch").write_text("#!/bin/sh\necho b > z\n")
    (tmp_path / "bin/patch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with pytest.raises(BadInputError) as caught:
        switch(tmp_path / "tree", tmp_path / "store", read_series(series(tmp_path, X)), LABEL)
    assert f"{LABEL}: patch a.patch was not applied as it declares: x was not changed; z is there." in str(caught.value)
    assert (tmp_path / "tree/x").read_text() == "a\n"
