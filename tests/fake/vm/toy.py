# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second VM backend, of VMs that are entries of a table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.process import Run
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import state_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.assigned import assigned
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Deadlines, Saved
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.dry_start import DryStart
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.ending import UNKNOWN, Ending
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.guest_interface import GuestInterface
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.images import Image
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.manager import NoManager
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import IN_PLACE, ManifestVm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.vm_facts import VmFacts
from tests.fake.linux.pf import FakePf


@dataclass
class ToyVm:
    """``n``: its guest's counter; ``color``: known to this backend alone."""

    n: int
    color: str
    vf: str
    running: bool = True
    released: bool = False


def toy(pf: FakePf, vf_id: int, name: str = "toy1") -> None:
    """Run a toy VM with a VF.

    The caller draws the host, and clears the table in the end.
    """
    vf = pf.vfs[vf_id]
    vf.driver = vf.override = "vfio-pci"
    ToyBackend.table[name] = ToyVm(41, "blue", vf.address)


@dataclass(frozen=True)
class ToyBackend(NoManager):
    sysfs: Sysfs
    run: Run
    deadlines: Deadlines
    name: ClassVar[str] = "toy"
    modules: ClassVar[tuple[str, ...]] = ("toy_bus", "tun")
    table: ClassVar[dict[str, ToyVm]] = {}
    """Of this host; a kexec empties it."""

    def probe(self, pfs: Mapping[str, PfState], taken: Collection[int]) -> Iterator[VmFacts]:
        for name, vm in self.table.items():
            vfs, others = assigned(self.sysfs, pfs, [vm.vf])
            yield VmFacts(name, self.name, 9, 90, f"toy-{name}.service", vm, vfs, others, memory_bytes=1)

    def problems(self, vm: VmFacts, strategy: str = IN_PLACE) -> Iterator[tuple[str, str]]:
        if self.table[vm.name].color == "red":
            yield "it is red", "paint it"

    def dry_start(self, vm: VmFacts) -> DryStart:
        gold = self.table[vm.name].color == "gold"
        return DryStart("no gold is left", "buy some", ("its frame",)) if gold else DryStart()

    def prepare(self, vm: VmFacts) -> dict[str, Any]:
        return {"color": self.table[vm.name].color}

    @staticmethod
    def check(part: Mapping[str, Any], vfs: Collection[str], where: str) -> None:
        if set(part) != {"color"}:
            raise BadInputError(f"{where}.color: missing")

    def pid(self, name: str) -> int | None:
        return 9 if name in self.table else None

    def is_own(self, vm: ManifestVm) -> bool:
        return True

    def images(self, vm: ManifestVm) -> list[Image]:
        return []

    def require_armed(self, vm: ManifestVm) -> None:
        assert self.table[vm.name].running

    def release(self, vm: ManifestVm, state: str) -> None:
        self.table[vm.name].released = True

    def copy(self, vm: ManifestVm, state: str, others: Callable[[bool], bool]) -> None:
        assert self.table[vm.name].released

    def save(self, vm: ManifestVm, state: str) -> Saved:
        assert self.table[vm.name].released
        self.table[vm.name].running = False
        state_file.create(state)
        with open(state, "ab") as file:
            file.write(json.dumps({"n": self.table[vm.name].n}).encode())
        return Saved(time.time(), time.time(), state_file.seal(state), form={"toy": True})

    def undo(
        self, vm: ManifestVm, state: str, before_run: Callable[[], None] = lambda: None, stopped: bool = True
    ) -> None:
        if not self.table[vm.name].running:
            before_run()
        self.table[vm.name].running, self.table[vm.name].released = True, False

    def ending(self, vm: ManifestVm) -> Ending:
        return UNKNOWN

    def settle(self, vm: ManifestVm, state: str) -> str | None:
        return None

    def power_down(self, vm: ManifestVm) -> None:
        del self.table[vm.name]

    def discard(self, vm: ManifestVm) -> None:
        if self.table[vm.name].running:
            raise SriovError(f"VM {vm.name} runs")
        del self.table[vm.name]

    def ready(self, vm: ManifestVm) -> None:
        pass

    def restore(
        self, vm: ManifestVm, state: str, form: Mapping[str, Any], start: bool, before_run: Callable[[], None]
    ) -> None:
        assert form == {"toy": True}
        before_run()
        n = json.loads(Path(state).read_bytes()[state_file.HEADER :])["n"]
        self.table[vm.name] = ToyVm(n, vm.part["color"], vm.vfs[0].address)

    def set_clock(self, vm: ManifestVm) -> str:
        return "not set: no guest agent"

    def networks(self, vm: ManifestVm) -> list[GuestInterface]:
        return []

    def withdraw(self, vm: ManifestVm) -> bool:
        return self.table.pop(vm.name, None) is None

    def cold_start(self, vm: ManifestVm) -> None:
        self.table[vm.name] = ToyVm(0, vm.part["color"], vm.vfs[0].address)
