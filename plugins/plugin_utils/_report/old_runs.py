# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old runs on the controller, of which only the newest are kept.

A run stays, whatever its age, while a host of it may have states of VMs: until some run has forgotten the update that
its evidence is of.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from . import evidence

NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}", re.ASCII)
"""Name that the playbook gives a run, with its date first.

Nothing else below the folder is ours to delete.
"""
FORGOTTEN = "forgotten.json"
"""File beside a host's evidence: the update that it has forgotten."""


def prune(above: Path, keep: int) -> list[str]:
    """Delete old runs but the ``keep`` newest; 0 keeps all.

    Returns a line for each that went, or did not though it should.
    """
    runs = sorted((path for path in above.iterdir() if _is_run(path)), key=lambda path: path.name)
    if keep < 1 or len(runs) <= keep:
        return []
    done = {name for run in runs for name in _named(run, FORGOTTEN)}
    return [_delete(run) for run in runs[:-keep] if set(_named(run, "result.json")) <= done]


def _is_run(path: Path) -> bool:
    return NAME.fullmatch(path.name) is not None and path.is_dir() and not path.is_symlink()


def _named(run: Path, name: str) -> Iterator[str]:
    """Updates that files of a run's evidence are of.

    One that cannot be read is of none that was forgotten.
    """
    for file in [*run.glob(f"evidence/*/{name}"), *run.glob(f"way-back-*/{name}")]:
        try:
            yield str(evidence.read_json(file)["manifest"])
        except (OSError, ValueError, KeyError, TypeError):
            if name != FORGOTTEN:
                yield f"unknown: {file}"


def _delete(run: Path) -> str:
    try:
        shutil.rmtree(run)
    except OSError as error:
        return f"the old run {run} was not deleted: {error}"
    return f"the old run {run} was deleted"
