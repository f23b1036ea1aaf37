# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor of the process that was armed."""

from __future__ import annotations

from ..._model.errors import RefusedError
from ..record import ManifestVm
from . import qmp as _qmp
from .part import QemuPart
from .qmp import Qmp


def connect(path: str, timeout: float, vm: ManifestVm) -> Qmp:
    """Connect to the monitor of a VM at ``path``.

    ``path``: as this machine sees it. A VM that was started again since has another command line than the manifest, and
    another QEMU may have taken the path of the socket. Raises `RefusedError` for their processes, `SriovError` when
    nobody listens there.
    """
    found = _qmp.connect(path, timeout)
    if found.pid == vm.pid:
        return found
    found.close()
    raise RefusedError(
        f"process {found.pid} answers at {QemuPart.of(vm).qmp}, VM {vm.name} was process {vm.pid} when the update was "
        "armed: arm it again"
    )
