# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Result of `sriov_info`.

Apart from the other modules, which would pack all that it reads and never use it.
"""

from __future__ import annotations

from typing import Any

from .._document import selector
from .._readers import identity
from .._report import lacking
from .._report.info import gather
from .._system.process import Run
from .._system.sysfs import Sysfs
from .module import Module


def info(module: Module, sysfs: Sysfs, run: Run) -> dict[str, Any]:
    """Result of `sriov_info`."""
    given = module.params["pfs"]
    names = None if given is None else [selector.validate(name, f"pfs[{i}]") for i, name in enumerate(given)]
    pfs = gather(sysfs, run, names, properties=module.params["properties"], vfs=module.params["vfs"])
    lacks = lacking.texts(sysfs, pfs) if pfs or names is None else []
    return {"changed": False, "pfs": pfs, "kernel": identity.kernel(sysfs), "lacks": lacks}
