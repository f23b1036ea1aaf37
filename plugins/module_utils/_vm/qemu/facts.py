# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a running QEMU besides its VFs: process, unit, monitor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..vm_facts import VmFacts
from .block_graph import Problem
from .needs import Needs
from .probe import Probe
from .taps import Taps
from .unit import UnitSettings


@dataclass(frozen=True)
class QemuFacts:
    """Facts of a QEMU process.

    ``qmp``: path of its monitor, None without one; ``probe`` or ``probe_error``: the answer of that. ``fragment``: file
    of its unit, ``restart``: Restart= of that; ``unit``: what it grants; ``needs``: of the host; ``taps``: interfaces
    in bridges; ``pins``: CPUs of threads; ``replaced``: problems with the files at its images' paths; ``starters``:
    enabled units that would start it too, as (name, file); ``enabled``: whether a boot starts its own.
    """

    argv: tuple[str, ...]
    cwd: str
    uid: int
    own_namespaces: bool
    libvirt: bool
    fragment: str
    restart: str
    qmp: str | None
    probe: Probe | None
    probe_error: str | None
    unit: UnitSettings = field(default_factory=UnitSettings)
    replaced: tuple[Problem, ...] = ()
    starters: tuple[tuple[str, str], ...] = ()
    enabled: bool = False
    needs: Needs = field(default_factory=Needs)
    taps: Taps = field(default_factory=Taps)
    pins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, vm: VmFacts) -> QemuFacts:
        """Facts of a VM of this backend."""
        if not isinstance(vm.detail, cls):
            raise TypeError(f"VM {vm.name} is of backend {vm.backend}, its facts are {type(vm.detail).__name__}")
        return vm.detail
