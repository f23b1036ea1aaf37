# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of results that are kept in the repository: EVIDENCE.json.

An entry is what decided a result, as checksums, and the day of it. What these cover is known where results are made:
lab/kernels/evidence.py, tests/faults/record.py, tools/mutants/record.py.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.kernels.cases import bare, is_text

NEVER = "no result"
WAY_OUT = "take one side with git checkout, or remove it and record anew"


class BadRecordError(Exception):
    """The error of a record that cannot be read: it proves nothing."""


def load(file: Path) -> dict[str, Any]:
    """The record; empty where there is none.

    Raises `BadRecordError` for one that is no JSON object, such as one with the marks of a merge.
    """
    if not file.exists():
        return {}
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadRecordError(f"cannot read the record {file}: {error}; {WAY_OUT}") from error
    if not isinstance(known, dict):
        raise BadRecordError(f"cannot read the record {file}: it is no JSON object; {WAY_OUT}")
    return known


@contextmanager
def changed(file: Path, depth: int) -> Iterator[dict[str, Any]]:
    """Change the record in place; written if it is another then.

    Others that record at the same time wait, processes and threads. Whoever is killed leaves the old or the new record.
    """
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        known = load(file)
        before = text(known, depth)
        yield known
        if (after := text(known, depth)) != before:
            aside = file.with_suffix(".new")
            aside.write_text(after, encoding="utf-8")
            aside.replace(file)
    finally:
        os.close(folder)


def text(known: Mapping[str, Any], depth: int, level: int = 0) -> str:
    """The record as JSON, a line for each entry.

    Entries are ``depth`` names down.
    """
    end = "" if level else "\n"
    if not known or (level >= depth and not any(isinstance(value, dict) for value in known.values())):
        return json.dumps(known, sort_keys=True) + end
    inner = "  " * (level + 1)
    lines = [
        f"{inner}{json.dumps(name)}: {text(value, depth, level + 1) if isinstance(value, dict) else json.dumps(value)}"
        for name, value in sorted(known.items())
    ]
    return "{\n" + ",\n".join(lines) + "\n" + "  " * level + "}" + end


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def digest(texts: Iterable[str]) -> str:
    """Checksum of texts in this order: 12 hex digits."""
    found = hashlib.sha256()
    for one in texts:
        found.update(f"{len(one)}:{one}".encode())
    return found.hexdigest()[:12]


def code(source: str) -> str:
    """A Python file's text without comments, docstrings and empty lines.

    Of texts over many lines nothing is left out.
    """
    tree = ast.parse(source)
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and is_text(node)}
    inside = {
        row
        for node in ast.walk(tree)
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and node not in docstrings
        for row in range(node.lineno, node.end_lineno or node.lineno)
    }
    lines = (
        f"\f{line}" if row in inside and line != (line.rstrip() or None) else line.rstrip()
        for row, line in enumerate(bare(source, tree), 1)
    )
    return "\n".join(filter(None, lines))


def why(entry: Mapping[str, Any] | None, now: Mapping[str, object]) -> str:
    """Reason why an entry is not valid; empty if it is."""
    if entry is None:
        return NEVER
    other = [name for name, value in now.items() if entry.get(name) != value]
    return f"changed since: {', '.join(other)}" if other else ""


def lines(what: str, number: int, old: Mapping[str, str], entries: Iterable[Mapping[str, Any]], most: int) -> list[str]:
    """What people read of a record with ``number`` possible results.

    ``old``: those without a valid one and why, of which ``most`` are named for each reason.
    """
    found = []
    for reason in sorted(set(old.values())):
        names = [name for name, other in old.items() if other == reason]
        found.append(f"{what}: {len(names)} {reason}: {', '.join(names[:most])}{', ..' if len(names) > most else ''}")
    days = sorted({str(one.get("day")) for one in entries} or {"never"})
    when = " to ".join(dict.fromkeys((days[0], days[-1])))
    return [*found, f"{what}: {number - len(old)} of {number} have a valid result, of {when}"]
