# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VM backend `libvirt`: managed saves of persistent domains, VFs detached.

libvirt's own save is the claim: a domain that everybody forgot comes back by `virsh start`. A save stops the guest
first, so the pause is the whole save.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..._model.deadlines import BUSY_PAUSE_S
from ..._model.errors import DeadlineError, RefusedError, SriovError, ToolError
from ..._model.state import PfState
from ..._tools.virsh import PAUSED, RUNNING, Info
from ..backend import Saved
from ..candidates import started
from ..dry_start import DryStart
from ..ending import EndedError, Ending, StandsError
from ..guest_interface import GuestInterface
from ..images import Image
from ..record import ManifestVm
from ..vm_facts import VmFacts
from . import capabilities, discovery, guest_agent, refusals, save_image
from .devices import NOTE, Devices
from .holds import Holds
from .manager import LibvirtManager
from .part import LibvirtPart
from .restoring import Restoring
from .saved_state import SavedState, read_disks

SAVING = "(saving)"
"""Reason of a domain that is paused for its save."""
UNTRIED = "libvirt starts the domain anew by itself: nothing of that is tried beside the running one"


@dataclass(frozen=True)
class LibvirtBackend(LibvirtManager):
    """The domains of the system's libvirt."""

    modules: ClassVar[tuple[str, ...]] = ("kvm_intel", "kvm_amd", "vhost_net", "vhost_vsock", "tun", "vfio_pci")

    def probe(self, pfs: Mapping[str, PfState], taken: Collection[int]) -> list[VmFacts]:
        return discovery.discover(self.sysfs, self.connection, pfs)

    def problems(self, vm: VmFacts) -> Iterator[tuple[str, str]]:
        return refusals.problems(vm)

    def dry_start(self, vm: VmFacts) -> DryStart:
        return DryStart(untried=(UNTRIED,))

    def prepare(self, vm: VmFacts) -> dict[str, Any]:
        return LibvirtPart.made(vm).to_dict()

    @staticmethod
    def check(part: Mapping[str, Any], vfs: Collection[str], where: str) -> None:
        LibvirtPart.parse(part, where).require(vfs, where)

    def images(self, vm: ManifestVm) -> tuple[Image, ...]:
        self._living(vm)
        return tuple(discovery.images(self.sysfs, self.connection.live(LibvirtPart.of(vm).uuid)))

    def release(self, vm: ManifestVm, state: str) -> None:
        if self._living(vm).active:
            self._require_armed(vm)
            self._devices(vm).release(f"{state}{NOTE}", self.deadlines.unplug_s)

    def copy(self, vm: ManifestVm, state: str, others: Callable[[bool], bool]) -> None:
        """Nothing: libvirt saves no domain while it runs."""

    def save(self, vm: ManifestVm, state: str) -> Saved:
        """Save the domain, which ends its QEMU, and seal its state.

        One whose save was interrupted is finished: libvirt goes on when virsh is killed.
        """
        part, stopped_at = LibvirtPart.of(vm), self.now()
        if self._living(vm).active:
            self._require_armed(vm)
            left = self._devices(vm).attached()
            if left:
                raise SriovError(f"VM {vm.name} has VF {', '.join(sorted(left))} still: it is not saved")
            Holds(self.sysfs, self.connection, part).take()
            save_image.delete_discarded(self.sysfs, self.now())
            self._managed_save(vm, part)
        names = discovery.image_names(self.connection.saved(part.uuid))
        disks = read_disks(self.sysfs, dict.fromkeys((*names, *part.images)))
        saved = SavedState(save_image.keep(self.sysfs, part.uuid, part.domain), disks)
        fingerprint = saved.write(state, self.deadlines.whole_hash)
        return Saved(stopped_at, self.now(), fingerprint, disks)

    def undo(
        self, vm: ManifestVm, state: str, before_run: Callable[[], None] = lambda: None, stopped: bool = True
    ) -> None:
        """Let a domain run here again, however far its save came.

        Others may start what has ended, or stands.
        """
        try:
            self._undo(vm, state, before_run, stopped)
        except (EndedError, StandsError):
            Holds(self.sysfs, self.connection, LibvirtPart.of(vm)).give_back()
            raise
        self.set_clock(vm)

    def _undo(self, vm: ManifestVm, state: str, before_run: Callable[[], None], stopped: bool) -> None:
        restoring, info = self._restoring(vm), self._settled(vm)
        if not info.active:
            if not info.managed_save and not save_image.is_kept(self.sysfs, restoring.part.uuid):
                raise EndedError(self.ending(vm))
            if not save_image.is_kept(self.sysfs, restoring.part.uuid) or not SavedState.is_whole(state):
                self.save(vm, state)
            restoring.load(state)
        elif info.state != RUNNING and not stopped and not self.is_own(vm):
            restoring.devices.attach()
            raise StandsError(f"VM {vm.name} is {info.state}, and not by this update")
        restoring.go_on(before_run)

    def ending(self, vm: ManifestVm) -> Ending:
        try:
            reason = self.connection.reason(LibvirtPart.of(vm).uuid)
        except SriovError as error:
            return Ending(f"libvirt does not say why: {error}")
        return Ending(f"libvirt says: {reason}", crashed=reason.endswith(("(crashed)", "(failed)", "(destroyed)")))

    def settle(self, vm: ManifestVm, state: str) -> str | None:
        return self._devices(vm).settle(f"{state}{NOTE}", self.deadlines.unplug_s)

    def power_down(self, vm: ManifestVm) -> None:
        uuid = LibvirtPart.of(vm).uuid
        Holds(self.sysfs, self.connection, LibvirtPart.of(vm)).take()
        self.connection.tell("shutdown", uuid)
        self.connection.wait(uuid, lambda info: not info.active, "shut down", self.deadlines.shutdown_s)

    def discard(self, vm: ManifestVm) -> None:
        """Require that no QEMU is left; save and shutdown end it."""
        info = self.connection.info(LibvirtPart.of(vm).uuid)
        if info.active:
            raise SriovError(f"VM {vm.name} is {info.state} after its save: it is not ended")

    def ready(self, vm: ManifestVm) -> None:
        """Wait until libvirtd answers, and hold off whoever else starts the domain."""
        until = time.monotonic() + self.deadlines.start_s
        while True:
            try:
                self.connection.running()
                break
            except ToolError:
                if time.monotonic() >= until:
                    raise
                self.sleep(BUSY_PAUSE_S)
        Holds(self.sysfs, self.connection, LibvirtPart.of(vm)).take()

    def restore(
        self, vm: ManifestVm, state: str, form: Mapping[str, Any], start: bool, before_run: Callable[[], None]
    ) -> None:
        """Restore a domain, or complete a start of it by somebody else."""
        restoring = self._restoring(vm)
        if start and not self.connection.info(restoring.part.uuid).active:
            restoring.load(state)
        restoring.go_on(before_run)

    def set_clock(self, vm: ManifestVm) -> str:
        return guest_agent.set_clock(self.connection, LibvirtPart.of(vm).uuid)

    def networks(self, vm: ManifestVm) -> list[GuestInterface]:
        return guest_agent.networks(self.connection, LibvirtPart.of(vm).uuid)

    def withdraw(self, vm: ManifestVm) -> bool:
        try:
            return self._restoring(vm).withdraw()
        except SriovError:
            return False

    def cold_start(self, vm: ManifestVm) -> None:
        """Start the domain from its disks, with the VFs it had."""
        restoring = self._restoring(vm)
        restoring.boot()
        restoring.go_on(lambda: None)

    def _restoring(self, vm: ManifestVm) -> Restoring:
        part = LibvirtPart.of(vm)
        return Restoring(self.sysfs, self.connection, part, self._devices(vm), self.deadlines)

    def _devices(self, vm: ManifestVm) -> Devices:
        return Devices(self.sysfs, self.connection, vm, LibvirtPart.of(vm))

    def _living(self, vm: ManifestVm) -> Info:
        """Facts of a domain that runs, or that is saved.

        Raises `EndedError` and `StandsError`.
        """
        info = self._settled(vm)
        if info.state == PAUSED:
            raise StandsError(f"VM {vm.name} is paused, and not by this update")
        if not info.active and not info.managed_save:
            raise EndedError(self.ending(vm))
        return info

    def _require_armed(self, vm: ManifestVm) -> None:
        """Require the very process that was armed; raises `RefusedError`."""
        pid = self.pid(vm.name)
        if pid is not None and (pid, started(self.sysfs, pid)) != (vm.pid, vm.started):
            raise RefusedError(
                f"VM {vm.name} is process {pid}, and was process {vm.pid} when the update was armed: arm it again"
            )

    def _settled(self, vm: ManifestVm) -> Info:
        """Facts of a domain, once libvirt has finished a save of it."""
        uuid, until = LibvirtPart.of(vm).uuid, time.monotonic() + self.deadlines.migrate_s
        while self.connection.reason(uuid).endswith(SAVING) and time.monotonic() < until:
            self.sleep(BUSY_PAUSE_S)
        return self.connection.info(uuid)

    def _managed_save(self, vm: ManifestVm, part: LibvirtPart) -> None:
        """Save the domain, in at most ``migrate_s``.

        libvirt goes on when virsh is late and killed, as for a large domain, or has lost its connection.
        A save that was interrupted may end at any time.
        """
        try:
            capabilities.turn_off(self.connection, part.uuid)
            self.connection.tell("managedsave", part.uuid, "--bypass-cache", "--running")
        except (ToolError, DeadlineError):
            info = self._settled(vm)
            if info.active or not info.managed_save:
                raise
