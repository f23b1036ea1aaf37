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
from dataclasses import dataclass
from pathlib import Path

from .._model.errors import BadInputError, SriovError
from .._model.values import cut, printable, shown


@dataclass(frozen=True)
class Patch:
    """A patch in git format; ``files`` are paths below the tree."""

    name: str
    path: Path
    sha256: str
    files: tuple[str, ...]


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
    pairs = re.findall(r"^diff --git a/(\S+) b/(\S+)$", content.decode("utf-8", "replace"), re.MULTILINE)
    files = tuple(sorted({file for pair in pairs for file in pair}))
    if not files:
        raise BadInputError(f"{path} is not a patch in git format: it has no 'diff --git' line")
    if any(file.startswith("/") or ".." in file.split("/") for file in files):
        raise BadInputError(f"{path} leads out of the source tree: {cut(printable(', '.join(files)))}")
    return Patch(name, path, hashlib.sha256(content).hexdigest(), files)


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
    _keep_pristine(tree, store, touched)
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=str(store)) as name:
        scratch = Path(name)
        for file in touched:
            _copy(store / "pristine" / file, scratch / file)
        for patch in series:
            _apply(patch, scratch, label)
        known = _known(store)
        wanted = {file: (scratch if file in touched else store / "pristine") / file for file in known}
        changed = tuple(file for file in sorted(wanted) if _put(wanted[file], tree / file))
    _write(store / "series.json", json.dumps([[patch.name, patch.sha256] for patch in series], indent=1))
    return changed


def _known(store: Path) -> list[str]:
    """Paths whose pristine text is kept.

    The list is written after the texts, before the tree changes.
    """
    listing = store / "files.json"
    return list(json.loads(listing.read_text(encoding="utf-8"))) if listing.exists() else []


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
    argv = ["patch", "-p1", "--fuzz=0", "--batch", "--forward", "--no-backup-if-mismatch", "--reject-file=-"]
    try:
        run = subprocess.run(
            [*argv, f"--input={patch.path.resolve()}"],
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
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)


def _put(source: Path, target: Path) -> bool:
    """Make ``target`` equal to ``source`` by rename; False when it was equal.

    Where there is no ``source`` there will be no ``target``.
    """
    if not source.exists():
        existed = target.exists()
        if existed:
            target.unlink()
        return existed
    if target.exists() and target.read_bytes() == source.read_bytes() and _mode(target) == _mode(source):
        return False
    partial = target.with_name(target.name + ".kvmfleet-partial")
    _copy(source, partial)
    partial.replace(target)
    return True


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".kvmfleet-partial")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
