# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `kernel_check`: may a built kernel be installed, may it boot?"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from .._kernel_package import checks, facts
from .._model import kernel_manifest
from .._model.errors import RefusedError
from .._system.process import Run
from .._system.sysfs import Sysfs
from .module import Module

CHECKS = {"install": checks.before_install, "boot": checks.before_boot}


def check(module: Module, sysfs: Sysfs, run: Run) -> dict[str, Any]:
    """Read the host and judge; returns the result of `kernel_check`.

    Raises RefusedError with all problems.
    """
    manifest = kernel_manifest.read(json.dumps(module.params["manifest"]), "the manifest")
    before = module.params["before"]
    found = facts.read(sysfs, run, manifest, lists=before == "boot")
    if module.params["without_initrd"] and not found.initrd:
        found = replace(found, initrd_before=None)
    problems = CHECKS[before](found, manifest) if before else []
    if problems:
        raise RefusedError("; ".join(f"{one.problem}: {one.fix}" for one in problems))
    return {
        "changed": False,
        "installed": found.installed,
        "packages_installed": all(package.known for package in found.packages),
        "interrupted": found.interrupted,
        "damaged": [path for package in found.packages for path in package.damaged],
        "initrd": found.initrd or "",
        "running": found.running,
    }
