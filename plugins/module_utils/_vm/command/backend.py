# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VM backend `command`: programs of the operator save and restore VMs.

For managers that keep a VM's memory themselves, like Proxmox (`qm suspend --todisk`). What their programs say is
compared with what runs. Nobody can keep such a manager from loading what it keeps: a VM that it starts meanwhile is
completed, not stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..._model.errors import BadInputError, DeadlineError, RefusedError, SriovError
from ..._model.state import PfState
from ..._system import durable
from .. import images as _images
from ..assigned import assigned
from ..backend import NeverRanError, Saved
from ..candidates import control_group, started, unit
from ..dry_start import DryStart
from ..ending import EndedError
from ..guest_interface import GuestInterface
from ..images import Image
from ..record import IN_PLACE, ManifestVm
from ..vm_commands import VmCommands, filled
from ..vm_facts import VmFacts
from . import kept, processes, refusals, vfio
from .facts import CommandFacts
from .managed import Managed
from .manager import CommandManager, resident
from .part import CommandPart

UNTRIED = "the manager of the VM starts it by itself: nothing of that is tried beside the running one"

NAMES = ".images"
"""End of the name of a note of its images."""


@dataclass(frozen=True)
class CommandBackend(CommandManager):
    """The VMs of managers that the option vm_commands names."""

    modules: ClassVar[tuple[str, ...]] = ("kvm_intel", "kvm_amd", "vhost_net", "vhost_vsock", "tun", "vfio_pci")

    def probe(self, pfs: Mapping[str, PfState], taken: Collection[int]) -> list[VmFacts]:
        every = ((one, *vm) for one in self.deadlines.vm_commands for vm in processes.running(self.sysfs, one))
        return [self._facts(pfs, *one) for one in every if one[2] not in taken]

    def _facts(self, pfs: Mapping[str, PfState], commands: VmCommands, name: str, pid: int) -> VmFacts:
        vfs, others = assigned(self.sysfs, pfs, vfio.held(self.sysfs, pid))
        images = processes.images(self.sysfs, pid, filled([commands.pid_file], name=name)[0])
        missing = tuple(one for one in commands.programs() if not os.access(self.sysfs.real(one), os.X_OK))
        wrong = "" if missing else self._wrong(self._managed(name, commands))
        detail = CommandFacts(commands, missing, wrong, processes.replaced(self.sysfs, pid, images))
        return VmFacts(
            name, self.name, pid, started(self.sysfs, pid), unit(control_group(self.sysfs, pid)), detail, vfs, others,
            resident(self.sysfs, pid), images, kept_elsewhere=True,
        )  # fmt: skip

    @staticmethod
    def _wrong(vm: Managed) -> str:
        try:
            return f"{vm.words(vm.commands.saved)} says that its state is kept, while it runs" if vm.is_saved() else ""
        except SriovError as error:
            return f"whether a state of it is kept is not known: {error}"

    def problems(self, vm: VmFacts, strategy: str = IN_PLACE) -> Iterator[tuple[str, str]]:
        return refusals.problems(vm, strategy)

    def dry_start(self, vm: VmFacts) -> DryStart:
        return DryStart(untried=(UNTRIED,))

    def prepare(self, vm: VmFacts) -> dict[str, Any]:
        return CommandPart.made(vm).to_dict()

    @staticmethod
    def check(part: Mapping[str, Any], vfs: Collection[str], where: str) -> None:
        CommandPart.parse(part, where).require(vfs, where)

    def images(self, vm: ManifestVm) -> tuple[Image, ...]:
        path = filled([CommandPart.of(vm).commands.pid_file], name=vm.name)[0]
        return processes.images(self.sysfs, self._living(vm), path)

    def require_armed(self, vm: ManifestVm) -> None:
        pid = self._living(vm)
        if (pid, started(self.sysfs, pid)) != (vm.pid, vm.started):
            raise RefusedError(f"VM {vm.name} is process {pid}, and was process {vm.pid} when armed: arm it again")

    def release(self, vm: ManifestVm, state: str) -> None:
        self.require_armed(vm)
        one, mine = self._of(vm), [vf.address for vf in vm.vfs]
        more = sorted(one.held() - set(mine))
        if more:
            raise SriovError(f"VM {vm.name} has device {', '.join(more)} since it was armed: arm the update again")
        one.release(mine)

    def copy(self, vm: ManifestVm, state: str, others: Callable[[bool], bool]) -> None:
        """Nothing: the manager's program saves at once."""

    def save(self, vm: ManifestVm, state: str) -> Saved:
        """Let the manager save the VM, which ends its process."""
        one, stopped_at = self._of(vm), self.now()
        if one.pid is not None:
            self.require_armed(vm)
            if one.held():
                raise SriovError(f"VM {vm.name} has VF {', '.join(sorted(one.held()))} still: it is not saved")
            found = self.images(vm)
            durable.remove(state)
            kept.write(f"{state}{NAMES}", found, whole=False)  # for one that is cut off before its end
            one.save()
        elif not one.is_saved():
            raise EndedError(self.ending(vm))
        names = [image.name for image in kept.read(f"{state}{NAMES}")]
        disks = tuple(_images.read(self.sysfs, name, owned=False) for name in names)
        fingerprint = kept.write(state, disks, self.deadlines.whole_hash)
        return Saved(stopped_at, self.now(), fingerprint, disks)

    def undo(
        self, vm: ManifestVm, state: str, before_run: Callable[[], None] = lambda: None, stopped: bool = True
    ) -> None:
        """Plug VFs again, or restore what was saved already."""
        one = self._of(vm)
        if one.pid is None:
            if not one.is_saved():
                raise EndedError(self.ending(vm))
            if not kept.is_whole(state):
                self.save(vm, state)
            self._load(vm, one, state, before_run)
        one.attach([vf.address for vf in vm.vfs])

    def settle(self, vm: ManifestVm, state: str) -> str | None:
        """Attach what the guest has released late."""
        one = self._of(vm)
        if one.pid is not None:
            one.attach([vf.address for vf in vm.vfs])
        return None

    def power_down(self, vm: ManifestVm) -> None:
        one = self._of(vm)
        one.call(one.commands.shutdown, self.deadlines.shutdown_s)
        if not one.until(lambda: one.pid is None, self.deadlines.shutdown_s):
            raise SriovError(f"VM {vm.name} has not shut down within {self.deadlines.shutdown_s:g} s")

    def discard(self, vm: ManifestVm) -> None:
        """Require that no process is left; save and shutdown end it."""
        pid = self._of(vm).pid
        if pid is not None:
            raise SriovError(f"VM {vm.name} is process {pid} after its save: it is not ended")

    def ready(self, vm: ManifestVm) -> None:
        """Wait until the manager knows the VM's state, or runs it."""
        one = self._of(vm)

        def known() -> bool:
            try:
                return one.pid is not None or one.is_saved()
            except SriovError:
                return False

        one.until(known, self.deadlines.start_s)

    def restore(
        self, vm: ManifestVm, state: str, form: Mapping[str, Any], start: bool, before_run: Callable[[], None]
    ) -> None:
        """Let the manager load the VM, then plug its VFs.

        One that it has started already gets its VFs alone.
        """
        one = self._of(vm)
        if start and one.pid is None:
            self._load(vm, one, state, before_run)
        else:
            before_run()
        one.attach([vf.address for vf in vm.vfs])

    def _load(self, vm: ManifestVm, one: Managed, state: str, before_run: Callable[[], None]) -> None:
        """Run the program that loads a VM, which runs at once."""
        if not one.is_saved():
            raise BadInputError(
                f"VM {vm.name} is not restored: {one.words(one.commands.saved)} says that no state is kept, so "
                "somebody else has started it since its save"
            )
        disks = kept.read(state)
        found = kept.differences(self.sysfs, disks)
        if found:
            raise BadInputError(f"VM {vm.name} is not restored: {'; '.join(found)}. Its manager keeps its memory")
        self._begin(vm)
        before_run()
        try:
            one.load()
        except DeadlineError:  # it may go on: nothing says that the guest never runs
            raise
        except SriovError as error:
            if self._never_ran(one, disks):
                raise NeverRanError(f"{error}. Its state is kept, and its disks are as they were") from error
            raise

    def _never_ran(self, one: Managed, disks: Sequence[Image]) -> bool:
        """Whether a VM has executed nothing that its disks know of."""
        try:
            return one.pid is None and one.is_saved() and not kept.differences(self.sysfs, disks)
        except SriovError:
            return False

    def set_clock(self, vm: ManifestVm) -> str:
        return "not set: vm_commands reach nothing in the guest"

    def networks(self, vm: ManifestVm) -> list[GuestInterface]:
        raise SriovError(f"VM {vm.name}: vm_commands reach nothing in the guest")

    def withdraw(self, vm: ManifestVm) -> bool:
        """Whether nothing runs: what its manager started runs at once."""
        return self._of(vm).pid is None

    def cold_start(self, vm: ManifestVm) -> None:
        """Start a VM from its disks.

        A state that is kept is deleted before.
        """
        one = self._of(vm)
        if not one.commands.start:
            raise BadInputError(f"VM {vm.name}: vm_commands has no start: start it by hand")
        if one.pid is None:
            self._drop(one)
            self._begin(vm)
            one.call(one.commands.start, self.deadlines.start_s)
        if not one.until(lambda: one.pid is not None, self.deadlines.answer_s):
            raise SriovError(one.nothing_runs(one.commands.start))
        one.attach([vf.address for vf in vm.vfs])
