# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VM backend `libvirt`: libvirt's own saves of domains, VFs detached.

A managed save is known to libvirt, which keeps the domain for saved; a transient domain's is a file. A save stops the
guest first, so the pause is the whole save.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..._model.deadlines import BUSY_PAUSE_S
from ..._model.errors import RefusedError, SriovError, ToolError
from ..._model.state import PfState
from ..._tools.virsh import PAUSED, RUNNING, Info
from ..backend import Saved
from ..candidates import started
from ..dry_start import DryStart
from ..ending import EndedError, Ending, StandsError
from ..guest_interface import GuestInterface
from ..images import Image
from ..record import IN_PLACE, ManifestVm
from ..vm_facts import VmFacts
from . import discovery, ended_log, guest_agent, refusals, save_format, save_image
from .connection import UNKNOWN
from .devices import NOTE
from .holds import Holds
from .manager import LibvirtManager
from .part import LibvirtPart
from .saved_state import SavedState, read_disks
from .saving import Saving

UNTRIED = "libvirt starts the domain anew by itself: nothing of that is tried beside the running one"


@dataclass(frozen=True)
class LibvirtBackend(LibvirtManager):
    """The domains of the system's libvirt."""

    modules: ClassVar[tuple[str, ...]] = ("kvm_intel", "kvm_amd", "vhost_net", "vhost_vsock", "tun", "vfio_pci")

    def probe(self, pfs: Mapping[str, PfState], taken: Collection[int]) -> list[VmFacts]:
        return discovery.discover(self.sysfs, self.connection, pfs)

    def problems(self, vm: VmFacts, strategy: str = IN_PLACE) -> Iterator[tuple[str, str]]:
        return refusals.problems(vm, strategy)

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

    def require_armed(self, vm: ManifestVm) -> None:
        if self._living(vm).active:
            self._require_armed(vm)

    def release(self, vm: ManifestVm, state: str) -> None:
        if self._living(vm).active:
            self._require_armed(vm)
            self.devices(vm).release(f"{state}{NOTE}", self.deadlines.unplug_s)

    def copy(self, vm: ManifestVm, state: str, others: Callable[[bool], bool]) -> None:
        """Nothing: libvirt saves no domain while it runs."""

    def save(self, vm: ManifestVm, state: str) -> Saved:
        """Save the domain, which ends its QEMU, and seal its state.

        One whose save was interrupted is finished: libvirt goes on when virsh is killed.
        """
        part, stopped_at = LibvirtPart.of(vm), self.now()
        if self._living(vm).active:
            self._require_armed(vm)
            left = self.devices(vm).attached()
            if left:
                raise SriovError(f"VM {vm.name} has VF {', '.join(sorted(left))} still: it is not saved")
            Holds(self.sysfs, self.connection, part).take()
            save_image.delete_discarded(self.sysfs, self.now())
            self._saving(vm).save()
        image = save_image.keep(self.sysfs, part.uuid, part.domain, part.transient)
        names = discovery.image_names(self.connection.saved(save_format.kept_path(part.uuid)))
        disks = read_disks(self.sysfs, dict.fromkeys((*names, *part.images)))
        fingerprint = SavedState(image, disks).write(state, self.deadlines.whole_hash)
        if not part.transient:
            save_image.put_guard(self.sysfs, part.uuid, part.domain)
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
        restoring, info = self.restoring(vm), self._saving(vm).settled()
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
        part = LibvirtPart.of(vm)
        try:
            reason = self.connection.reason(part.uuid)
            if reason.endswith(UNKNOWN):
                reason = ended_log.reason(self.sysfs, part.domain)
        except SriovError as error:
            return Ending(f"libvirt does not say why: {error}")
        return Ending(f"libvirt says: {reason}", crashed=reason.endswith(("(crashed)", "(failed)", "(destroyed)")))

    def settle(self, vm: ManifestVm, state: str) -> str | None:
        return self.devices(vm).settle(f"{state}{NOTE}", self.deadlines.unplug_s)

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
        restoring = self.restoring(vm)
        if start and not self.connection.info(restoring.part.uuid).active:
            restoring.load(state)
        restoring.go_on(before_run)

    def set_clock(self, vm: ManifestVm) -> str:
        return guest_agent.set_clock(self.connection, LibvirtPart.of(vm).uuid)

    def networks(self, vm: ManifestVm) -> list[GuestInterface]:
        return guest_agent.networks(self.connection, LibvirtPart.of(vm).uuid)

    def withdraw(self, vm: ManifestVm) -> bool:
        try:
            return self.restoring(vm).withdraw()
        except SriovError:
            return False

    def cold_start(self, vm: ManifestVm) -> None:
        """Start the domain from its disks, with the VFs it had."""
        restoring = self.restoring(vm)
        restoring.boot()
        restoring.go_on(lambda: None)

    def _living(self, vm: ManifestVm) -> Info:
        """Facts of a domain that runs, or that is saved.

        Raises `EndedError` and `StandsError`.
        """
        info = self._saving(vm).settled()
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

    def _saving(self, vm: ManifestVm) -> Saving:
        return Saving(self.sysfs, self.connection, LibvirtPart.of(vm), self.deadlines)
