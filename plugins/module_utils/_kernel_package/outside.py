# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that were built outside of the kernel: DKMS, vendors' drivers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .._model.errors import KernelError, ToolError
from .._system.process import Run
from .._system.sysfs import Sysfs

LINE = re.compile(r"^([\w.+-]+)(?:/|, )[^,:]+, ([^,]+), [^,:]+: (installed|built)\b")
"""``NAME/VERSION, KERNEL, ARCH: installed``; before DKMS 3 ``NAME, VERSION, KERNEL, ...`` (dkms(8))."""


def dkms(run: Run) -> dict[str, frozenset[str]]:
    """Names that DKMS has installed, by kernel; empty without DKMS."""
    try:
        return parse(run(["dkms", "status"]))
    except ToolError:
        return {}


def parse(text: str) -> dict[str, frozenset[str]]:
    """Names by kernel from ``dkms status``.

    Those that are only built are not installed.
    """
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        match = LINE.match(line.strip())
        if match and match.group(3) == "installed":
            found.setdefault(match.group(2), set()).add(match.group(1))
    return {kernel: frozenset(names) for kernel, names in found.items()}


def loaded_from_outside(sysfs: Sysfs, release: str) -> dict[str, str]:
    """Loaded modules that are not the running kernel's own, with paths."""
    try:
        loaded = {line.split()[0] for line in sysfs.read("/proc/modules").splitlines() if line}
    except KernelError:
        return {}
    return {name: path for name, path in outside(sysfs, release).items() if name in loaded}


def outside(sysfs: Sysfs, release: str) -> dict[str, str]:
    """Modules outside of a kernel's folder ``kernel``, by name.

    From modules.dep (depmod(8)).
    """
    try:
        text = sysfs.read(f"/lib/modules/{release}/modules.dep")
    except KernelError:
        return {}
    paths = [line.split(":")[0] for line in text.splitlines() if ":" in line]
    return {name_of(path): path for path in paths if not path.startswith("kernel/")}


def name_of(path: str) -> str:
    """Name of a module by its file, with ``_`` for ``-``."""
    return re.sub(r"\.ko(\.\w+)?$", "", path.rsplit("/", 1)[-1]).replace("-", "_")


def lacking(before: Mapping[str, frozenset[str]], running: str, release: str) -> list[str]:
    """Names that DKMS has for the running kernel, and not for another."""
    return sorted(before.get(running, frozenset()) - before.get(release, frozenset()))
