# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folder of one run on the controller: evidence and report.

It is its owner's alone, as logs and manifests of tenants are in it. ``latest`` beside it leads to the newest run.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import index, text
from .report import report_from_evidence

RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
LATEST = "latest"


def write(above: str, run: str, hosts: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    """Write the report of a run into its folder below ``above``.

    Returns the report, and whether a file has changed. ``hosts``: as for `report_from_evidence`.
    """
    if not RUN.fullmatch(run) or run == LATEST:
        raise ValueError(f"'{run}' is no name of a run: letters, digits and . _ - alone")
    folder = Path(above) / run
    for one in (folder, folder / "hosts"):
        one.mkdir(mode=0o700, parents=True, exist_ok=True)
        one.chmod(0o700)
    report = report_from_evidence(str(folder / "evidence"), run, hosts)
    files = {"report.json": f"{json.dumps(report, indent=1)}\n", **dict(index.pages(report))}
    changed = [_write(folder / name, content) for name, content in files.items()]
    return report, any([*changed, _lead(Path(above) / LATEST, run)])


def lines(report: Mapping[str, Any]) -> list[str]:
    """What is shown at once: of large reports only lost hosts."""
    if len(report["hosts"]) <= index.ON_ONE_PAGE:
        return text.lines(report)
    return text.lost(report)


def _write(path: Path, content: str) -> bool:
    """Replace a file where its content differs, at once."""
    data = content.encode()
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == data:
            return False
    part = path.with_name(f".{path.name[:200]}.part")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    part.replace(path)
    return True


def _lead(link: Path, run: str) -> bool:
    """Make ``latest`` lead to this run.

    A file or folder of that name is nobody's to replace.
    """
    if link.is_symlink() and os.readlink(link) == run:
        return False
    if link.exists() and not link.is_symlink():
        raise ValueError(f"{link} is no link to a run: move it away")
    part = link.with_name(f".{LATEST}.{run}")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    part.symlink_to(run)
    part.replace(link)
    return True
