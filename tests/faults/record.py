# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of faults, kept in tests/faults/EVIDENCE.json: a line for each case.

A result is valid as long as the texts that decided it are the same: the engine as far as a live update reaches it, what
plays the host, and the case's own row. Comments and docstrings are left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from tools import evidence
from tools.import_graph import Graph

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "tests/faults/EVIDENCE.json"
ENTRIES = (
    "plugins/module_utils/_sriovctl/live_update_command.py", "plugins/module_utils/_sriovctl/resume_command.py",
    "plugins/module_utils/_ansible/live_update_module.py",
)  # fmt: skip
"""Where a live update enters the engine; what they import counts."""
DEPLOY_ENTRIES = (
    "plugins/module_utils/_ansible/boot_entry_module.py", "plugins/module_utils/_ansible/boot_trial_module.py",
    "plugins/module_utils/_boot/guard.py",
)  # fmt: skip
"""The same of a deployment."""
TRIAL_ENTRIES = (*DEPLOY_ENTRIES, "plugins/module_utils/_sriovctl/boot_guard_command.py")
"""The same of kernels that are tried, with their guard."""
BY_LIBVIRT, BY_COMMANDS = "plugins/module_utils/_vm/libvirt/", "plugins/module_utils/_vm/command/"
"""Folders of VM backends that only cases of `LIBVIRT` use, or none.

The registry names every backend, so by imports alone an edit of these would make all results stale.
"""
MOVES = "plugins/module_utils/_live_update/move.py"
"""What moves VMs to other hosts, which only played hosts do."""
DEPLOY_PLAYED = (
    "tests/faults/deploy.py", "tests/faults/deploy_host.py", "tests/fake/boot/grub.py", "tests/fake/boot/kernel.py",
    "tests/fake/boot/layers.py", "tests/fake/boot/power_cut.py", "plugins/modules/boot_entry.py",
    "plugins/modules/boot_trial.py",
)  # fmt: skip
UPDATE_GRUB = "roles/kernel_deploy/files/update-grub"
NO_MATTER = ("record.py", "run.py")
ORCHESTRATION = ("rows.py", "trial_rows.py", "libvirt_rows.py", "run.py", "logs.py")
"""Files of the lab that count for no result.

Rows count one by one, and in which order they run does not.
"""
TRIED = ("boot_modules.py", "trial.py")
"""Files of the lab that count for trials alone."""
TRIED_WITH = ("guests.py", "prepare.py")
"""Those that count for trials as well."""
DEPTH = 2
"""Names above an entry: its level, and its own."""
LOCAL, LAB, DEPLOY, TRIAL, LIBVIRT = "local", "lab", "deploy", "trial", "libvirt"
"""Levels: a played kernel, an emulated host, deployments, or others.

With real QEMUs, a real kernel, the real GRUB; the last two for kernels that are tried; a real libvirtd and kernel.
"""
LEFT_OUT = {
    LAB: (BY_LIBVIRT, BY_COMMANDS, MOVES), TRIAL: (BY_LIBVIRT, BY_COMMANDS, MOVES), LIBVIRT: (BY_COMMANDS, MOVES),
}  # fmt: skip


@functools.cache
def engine(level: str = LOCAL) -> str:
    """Checksum of the engine, as far as a level's cases reach it."""
    entries = {DEPLOY: DEPLOY_ENTRIES, TRIAL: TRIAL_ENTRIES}.get(level, ENTRIES)
    names = [str(path.relative_to(REPOSITORY)) for path in sorted((REPOSITORY / "plugins/module_utils").rglob("*.py"))]
    left_out = LEFT_OUT.get(level, (BY_LIBVIRT, BY_COMMANDS))
    graph = Graph(REPOSITORY, (name for name in names if not name.startswith(left_out)))
    return evidence.digest(
        _text(REPOSITORY / name)
        for name in sorted({*entries, *(one for entry in entries for one in graph.closure(entry))})
    )


@functools.cache
def harness(level: str) -> str:
    """Checksum of what plays and judges a level's hosts.

    The cases' rows left out."""
    if level in (LAB, TRIAL, LIBVIRT):
        return _lab(level)
    if level == DEPLOY:
        texts = [_text(REPOSITORY / name) for name in DEPLOY_PLAYED]
        return evidence.digest([*texts, (REPOSITORY / UPDATE_GRUB).read_text(encoding="utf-8")])
    every = sorted((REPOSITORY / "tests/faults").glob("*.py"))
    own = [path for path in every if not path.name.startswith(("cases_", "deploy"))]
    played = [
        path for folder in ("linux", "tools") for path in sorted((REPOSITORY / "tests/fake" / folder).glob("*.py"))
    ]
    files = [*own, *played, REPOSITORY / "tests/fake/vm/node.py"]
    return evidence.digest(_text(path) for path in files if path.name not in NO_MATTER)


def _lab(level: str) -> str:
    """The same on an emulated host, with the units that it boots."""
    every = [path for path in sorted((REPOSITORY / "lab/faults").glob("*.py")) if path.name not in ORCHESTRATION]
    if level == TRIAL:
        files = [path for path in every if path.name in (*TRIED, *TRIED_WITH)]
        roles: tuple[str, ...] = ("sriov", "kernel_deploy")
    else:
        files = [*(path for path in every if path.name not in TRIED), REPOSITORY / "tests/faults/guest.py"]
        files += [REPOSITORY / "lab/machine/domain.py"] if level == LIBVIRT else []
        roles = ("sriov",)
    units = [unit for role in roles for unit in sorted((REPOSITORY / f"roles/{role}/templates").glob("*.service.j2"))]
    return evidence.digest([*map(_text, files), *(path.read_text(encoding="utf-8") for path in units)])


def row(fault: object) -> str:
    """Checksum of a case's row.

    Functions count by their names and what they close over, and the texts below folders that it alone rests on.
    """
    folders: Iterable[str] = getattr(fault, "files", ())
    files = [path for folder in folders for path in sorted((REPOSITORY / folder).rglob("*.yml"))]
    return evidence.digest([repr(_plain(fault)), *(path.read_text(encoding="utf-8") for path in files)])


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return [(one.name, _plain(getattr(value, one.name))) for one in fields(value)]
    if isinstance(value, Mapping):
        return sorted((str(name), repr(_plain(one))) for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if callable(value):
        cells = getattr(value, "__closure__", None) or ()
        return [getattr(value, "__qualname__", str(value)), *(_plain(cell.cell_contents) for cell in cells)]
    return value


def _text(path: Path) -> str:
    return evidence.code(path.read_text(encoding="utf-8"))


def load() -> dict[str, dict[str, dict[str, Any]]]:
    """Results below the names of levels and cases."""
    return evidence.load(FILE)


def stale(level: str, rows: Mapping[str, object]) -> dict[str, str]:
    """Cases without a valid result, each with the reason."""
    known = load().get(level, {})
    found = {name: evidence.why(known.get(name), _now(level, one)) for name, one in rows.items()}
    return {name: why for name, why in found.items() if why}


def _now(level: str, fault: object) -> dict[str, str]:
    return {"case": row(fault), "engine": engine(level), "host": harness(level)}


def before(level: str, fault: object) -> Callable[[str, bool], None]:
    """Take the checksums before a run; returns what records its result.

    A failure forgets the result that there was. Somebody may edit during the run.
    """
    now = _now(level, fault)

    def record(name: str, good: bool) -> None:
        with _changed() as known:
            entries = known.setdefault(level, {})
            entries.pop(name, None)
            if good:
                entries[name] = {**now, "day": evidence.today()}

    return record


def drop_unknown(level: str, names: Iterable[str]) -> None:
    """Remove results of cases that are no more."""
    there = set(names)
    with _changed() as known:
        known[level] = {name: one for name, one in known.get(level, {}).items() if name in there}


def _changed() -> AbstractContextManager[dict[str, dict[str, dict[str, Any]]]]:
    """Change the record in place; others that record meanwhile wait."""
    return evidence.changed(FILE, DEPTH)
