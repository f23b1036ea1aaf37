# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acting on all VMs at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from .._model.errors import SriovError
from .._vm.record import ManifestVm
from .machine import FAILURES


def failures(vms: Sequence[ManifestVm], act: Callable[[ManifestVm], object]) -> dict[str, Exception]:
    """Act on all VMs; returns once the last has ended.

    Failures by the VM's name, in the order of ``vms``.
    """

    def one(vm: ManifestVm) -> Exception | None:
        try:
            act(vm)
        except FAILURES as error:
            return error
        return None

    with ThreadPoolExecutor(max(1, len(vms))) as pool:
        return {vm.name: error for vm, error in zip(vms, pool.map(one, vms)) if error is not None}


def each(vms: Sequence[ManifestVm], act: Callable[[ManifestVm], object]) -> None:
    """Act on all VMs; their failures are raised as one `SriovError`."""
    errors = failures(vms, act)
    if errors:
        raise SriovError("; ".join(f"VM {name}: {error}" for name, error in errors.items()))
