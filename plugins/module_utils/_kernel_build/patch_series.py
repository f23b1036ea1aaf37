# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patch series, and source trees switched from one series to another.

A tree is switched by contents: the pristine text of every file that any series has touched is kept beside the tree,
the wanted text is made from it in a scratch folder, and only files that differ are written. So a switch that was
interrupted anywhere is repaired by the next one, and make rebuilds no more than what differs between two series.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .._model.errors import BadInputError, SriovError
from .._model.values import cut, printable, shown
from . import patched
from .git_patch import Change, changes
from .patched import Seen


@dataclass(frozen=True)
class Patch:
    """A patch in git format, with the changes that it declares."""

    name: str
    path: Path
    sha256: str
    changes: tuple[Change, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """Paths below the tree that it is about."""
        return tuple(sorted({name for change in self.changes for name in change.names}))


def read_series(folder: Path) -> tuple[Patch, ...]:
    """Patches that ``folder/series`` lists, in order.

    The file has quilt's form: one a line, ``#`` starts a comment.
    """
    listing = folder / "series"
    if not listing.is_file():
        raise BadInputError(f"no patch series in {folder}: {listing} is missing; it lists the patches in order")
    try:
        text = listing.read_text(encoding="utf-8")
    except ValueError as error:
        raise BadInputError(f"{listing} is not UTF-8: {error}") from error
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return tuple(_read_patch(folder, name) for name in lines if name)


def _read_patch(folder: Path, name: str) -> Patch:
    path = folder / name
    if not _is_file(path):
        raise BadInputError(f"{folder}/series lists {shown(name)}, which is not there")
    content = path.read_bytes()
    declared = tuple(changes(content.decode("utf-8", "surrogateescape"), f"patch {shown(name)} of {folder}"))
    if not declared:
        raise BadInputError(f"{path} is not a patch in git format: it has no 'diff --git' line")
    patch = Patch(name, path, hashlib.sha256(content).hexdigest(), declared)
    if not all(map(_is_below, patch.files)):
        raise BadInputError(f"{path} leads out of the source tree: {cut(printable(', '.join(patch.files)))}")
    return patch


def _is_file(path: Path) -> bool:
    """Whether a file is there, whatever its name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def switch(tree: Path, store: Path, series: tuple[Patch, ...], label: str) -> tuple[str, ...]:
    """Bring ``tree`` to exactly ``series``; returns the written paths, sorted.

    ``store`` is this function's own folder beside the tree; ``label`` starts the message when a patch does not apply,
    for example ``series 6.12 does not apply to linux-source-6.12 6.12.117``; the tree is not touched in that case.
    """
    touched = {file for patch in series for file in patch.files}
    _refuse_detours(tree, touched, label)
    _keep_pristine(tree, store, touched)
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=str(store)) as name:
        scratch = Path(name)
        for file in touched:
            _copy(store / "pristine" / file, scratch / file)
        for patch in series:
            before = patched.seen(scratch)
            _apply(patch, scratch, label)
            _refuse_other(patch, before, patched.seen(scratch), label)
        known = _known(store)
        wanted = {file: (scratch if file in touched else store / "pristine") / file for file in known}
        changed = tuple(file for file in sorted(wanted) if _put(wanted[file], tree / file))
    _write(store / "series.json", json.dumps([[patch.name, patch.sha256] for patch in series], indent=1))
    return changed


def _refuse_detours(tree: Path, files: set[str], label: str) -> None:
    """Refuse names below links, or below files of the series."""
    for file in sorted(files):
        parents = [str(parent) for parent in Path(file).parents if str(parent) != "."]
        through = [name for name in parents if name in files or (tree / name).is_symlink()]
        if through:
            names = f"{shown(file)} would be below {shown(through[0])}"
            raise BadInputError(f"{label}: {names}, which is a symbolic link or a file; make the patch again")


def _known(store: Path) -> list[str]:
    """Paths whose pristine text is kept.

    The list is written after the texts, before the tree changes.
    """
    listing = store / "files.json"
    try:
        known = json.loads(listing.read_text(encoding="utf-8")) if listing.exists() else []
    except (ValueError, RecursionError):
        known = None
    if not isinstance(known, list) or not all(isinstance(name, str) and _is_below(name) for name in known):
        raise SriovError(f"{listing} is damaged, so the source beside it is not known: delete {store.parent}")
    return known


def _is_below(name: str) -> bool:
    """Whether a name stays below the folder that it is joined to."""
    return not any(part in ("", ".", "..") for part in name.split("/"))


def _keep_pristine(tree: Path, store: Path, files: set[str]) -> None:
    store.mkdir(parents=True, exist_ok=True)
    known = _known(store)
    new = sorted(files.difference(known))
    for file in new:
        _put(tree / file, store / "pristine" / file)
    if new:
        _write(store / "files.json", json.dumps(sorted({*known, *new}), indent=1))


def _apply(patch: Patch, tree: Path, label: str) -> None:
    """Apply one patch with fuzz 0.

    Its line numbers may differ from the file's, its context may not.
    """
    argv = ["patch", "-p1", "--fuzz=0", "--batch", "--forward", "--unified", "--binary"]
    try:
        run = subprocess.run(
            [*argv, "--no-backup-if-mismatch", "--reject-file=-", f"--input={patch.path.resolve()}"],
            cwd=str(tree),
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except FileNotFoundError as error:
        raise SriovError("the tool 'patch' is missing: install the package patch on the build host") from error
    if run.returncode:
        output = run.stdout.decode("utf-8", "replace")
        raise BadInputError(
            f"{label}: patch {patch.name} fails in {_failing_file(output, patch)}. "
            "The series must be refreshed for this source; nothing was changed.\n" + output.strip()
        )


def _refuse_other(patch: Patch, before: Mapping[str, Seen], after: Mapping[str, Seen], label: str) -> None:
    """Refuse a patch that has done less or more than it declares."""
    found = [printable(text) for text in patched.differences(before, after, patch.changes)]
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise BadInputError(
            f"{label}: patch {patch.name} was not applied as it declares: {'; '.join(found[:3])}{more}. Make it again, "
            "with 'git format-patch'; nothing was changed."
        )


def _failing_file(output: str, patch: Patch) -> str:
    """The file at which GNU patch failed first."""
    first = re.search(r"can't find file to patch|FAILED|Skipping patch", output)
    if first is None:
        return ", ".join(patch.files)
    pattern, text = r"^patching file '?([^\n']+?)'?$", output[: first.start()]
    if first.group().startswith("can't"):
        pattern, text = r"^\|diff --git a/(\S+)", output[first.start() :]
    names = re.findall(pattern, text, re.MULTILINE)
    return str(names[-1]) if names else ", ".join(patch.files)


def _copy(source: Path, target: Path) -> None:
    """Copy a file or symbolic link to where nothing is."""
    if os.path.lexists(source):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target, follow_symlinks=False)
        if not source.is_symlink():
            shutil.copymode(source, target)


def _put(source: Path, target: Path) -> bool:
    """Make ``target`` equal to ``source`` by rename; False when it was equal.

    Where there is no ``source`` there will be no ``target``.
    """
    if not os.path.lexists(source):
        existed = os.path.lexists(target)
        if existed:
            target.unlink()
        return existed
    if os.path.lexists(target) and _same(source, target):
        return False
    partial = target.with_name(target.name + ".kvmfleet-partial")
    if os.path.lexists(partial):
        partial.unlink()
    _copy(source, partial)
    partial.replace(target)
    return True


def _same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and os.readlink(one) == os.readlink(other)
    return one.read_bytes() == other.read_bytes() and _mode(one) == _mode(other)


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".kvmfleet-partial")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
