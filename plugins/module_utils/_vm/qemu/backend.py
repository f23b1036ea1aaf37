# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VM backend `qemu`: saves VMs to files, with their VFs unplugged.

VFs are unplugged and memory is copied while the guest runs; a save stops it and writes the rest; a restore starts QEMU
anew, loads the state, plugs the VFs and lets the guest run. Each step does what is left, by QEMU's own status, so that
an interrupted one can be undone or finished. No QEMU ends whose state is not complete, durable and fingerprinted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..._model.errors import SriovError
from ..._model.state import PfState
from ..._model.update_deadlines import AGENT_S
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from .. import state_file
from ..backend import Deadlines, Saved
from ..dry_start import DryStart
from ..ending import Ending
from ..guest_interface import GuestInterface
from ..images import Image
from ..manager import NoManager
from ..record import IN_PLACE, ManifestVm
from ..vm_facts import VmFacts
from . import agent, armed_monitor, as_armed, discovery, disks, dry_run, migration, own_unit, refusals, taps, threads
from . import probe as _qemu_probe
from . import qmp as _qmp
from .end import End
from .guest import STOPPED, Guest
from .launch import Launch
from .live_copy import LiveCopy
from .part import QemuPart
from .probe import Probe
from .qmp import Qmp
from .state_form import StateForm
from .unplug import NOTE, Unplug


@dataclass(frozen=True)
class QemuBackend(NoManager):
    """The QEMU processes of a host.

    ``sysfs`` gives the root of the host; ``run`` runs systemctl and systemd-run. Clocks are members, so that tests can
    replace them.
    """

    sysfs: Sysfs
    run: Run
    deadlines: Deadlines = field(default_factory=Deadlines)
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    name: ClassVar[str] = discovery.NAME
    modules: ClassVar[tuple[str, ...]] = ("kvm_intel", "kvm_amd", "vhost_net", "vhost_vsock", "tun", "vfio_pci")

    def probe(self, pfs: Mapping[str, PfState], taken: Collection[int]) -> list[VmFacts]:
        return discovery.discover(self.sysfs, self.run, self.ask, pfs, taken)

    def ask(self, qmp_path: str, argv: Sequence[str]) -> Probe:
        """Probe a running QEMU; `SriovError` when it speaks no QMP."""
        with self._connect(qmp_path) as qmp:
            return _qemu_probe.typed(qmp, argv)

    def problems(self, vm: VmFacts, strategy: str = IN_PLACE) -> Iterator[tuple[str, str]]:
        return refusals.problems(vm, strategy)

    def dry_start(self, vm: VmFacts) -> DryStart:
        return dry_run.attempt(self.sysfs, self.run, vm)

    def prepare(self, vm: VmFacts) -> dict[str, Any]:
        return QemuPart.made(vm).to_dict()

    @staticmethod
    def check(part: Mapping[str, Any], vfs: Collection[str], where: str) -> None:
        QemuPart.parse(part, where).require(vfs, where)

    def pid(self, name: str) -> int | None:
        return discovery.find_live(self.sysfs, name)

    def is_own(self, vm: ManifestVm) -> bool:
        return discovery.runs(self.sysfs, vm.name, QemuPart.of(vm).own())

    def images(self, vm: ManifestVm) -> tuple[Image, ...]:
        with self._living(vm) as guest:
            return disks.known(self.sysfs, guest.qmp, guest.part.cwd)

    def require_armed(self, vm: ManifestVm) -> None:
        with self._living(vm) as guest:
            as_armed.require(self.sysfs, guest)

    def release(self, vm: ManifestVm, state: str) -> None:
        with self._living(vm) as guest:
            _unplug(guest, state).release(as_armed.require(self.sysfs, guest))

    def copy(self, vm: ManifestVm, state: str, others: Callable[[bool], bool]) -> None:
        with self._living(vm) as guest:
            copy = _copy(guest, state)
            guest.require_released(copied=copy.under_way())
            copy.copy(others)

    def save(self, vm: ManifestVm, state: str) -> Saved:
        """Stop the guest, write and seal its state.

        QEMU stays: `undo` can undo it.
        """
        with self._living(vm) as guest:
            copy = _copy(guest, state)
            guest.require_released(copy.under_way())
            disks.require(self.sysfs, guest.qmp, guest.part.restore_argv, guest.part.cwd)
            own_unit.require_none(self.sysfs, vm.unit)
            stopped_at = copy.finish(self.now)
            form = migration.now(guest.qmp)
            images = disks.read(self.sysfs, guest.qmp, guest.part.restore_argv, guest.part.cwd)
        fingerprint = state_file.seal(state, self.deadlines.whole_hash)
        return Saved(stopped_at, self.now(), fingerprint, images, form.to_dict())

    def undo(
        self, vm: ManifestVm, state: str, before_run: Callable[[], None] = lambda: None, stopped: bool = True
    ) -> None:
        """Undo release and save in the QEMU that is still there.

        However far they came: VFs are plugged again and the guest runs.
        """
        with self._guest(vm) as guest:
            why = guest.undo(state, before_run, _unplug(guest, state).left, stopped)
            migration.put_back(guest.qmp, f"{state}{migration.NOTE}")
        if why is not None:
            raise why
        self.set_clock(vm)

    def ending(self, vm: ManifestVm) -> Ending:
        return self._end().by_unit(vm)

    def settle(self, vm: ManifestVm, state: str) -> str | None:
        if not os.path.exists(f"{state}{NOTE}"):  # its monitor may be busy, and has nothing to say
            return None
        with self._guest(vm) as guest:
            return _unplug(guest, state).settle()

    def power_down(self, vm: ManifestVm) -> None:
        with self._guest(vm) as guest:
            guest.power_down()
            self._end().wait(guest.qmp.pid, vm)

    def discard(self, vm: ManifestVm) -> None:
        with self._guest(vm) as guest:
            status = guest.status()
            if status not in (STOPPED, "shutdown"):
                raise SriovError(f"VM {vm.name} is {status} after its save: it is not ended")
            self._end().quit(guest.qmp, vm)

    def ready(self, vm: ManifestVm) -> None:
        self._launch().wait(vm, QemuPart.of(vm).restore_argv)

    def restore(
        self, vm: ManifestVm, state: str, form: Mapping[str, Any], start: bool, before_run: Callable[[], None]
    ) -> None:
        """Restore a guest in a started, or adopted, QEMU."""
        written = StateForm.parse(form, f"form of VM {vm.name}")
        if start:
            self.start(vm, QemuPart.of(vm).restore_argv)
        with self._wait_for_guest(vm) as guest:
            incoming = guest.status() == "inmigrate"
            if guest.status() != "running":
                self._set_again(vm, guest)
            if incoming:
                guest.load(state, written)
            guest.go_on(before_run, loaded=incoming)

    def set_clock(self, vm: ManifestVm) -> str:
        """Set the clock of a guest that was stopped, by its agent."""
        path = agent.socket_path(QemuPart.of(vm).argv)
        return agent.clock(path, self.sysfs.real(path or ""), self.now, AGENT_S)

    def networks(self, vm: ManifestVm) -> list[GuestInterface]:
        return agent.networks(QemuPart.of(vm).argv, self.sysfs.real, AGENT_S)

    def withdraw(self, vm: ManifestVm) -> bool:
        try:
            with self._connect(QemuPart.of(vm).qmp) as qmp:
                if qmp.execute("query-status")["running"]:
                    return False
                self._end().quit(qmp, vm)
        except SriovError:
            return not self._launch().active(vm)
        return True

    def cold_start(self, vm: ManifestVm) -> None:
        """Start the guest from its disk, with the VFs it had.

        First those of its command line, then those plugged later.
        """
        self.start(vm, QemuPart.of(vm).cold_argv())
        with self._wait_for_guest(vm) as guest:
            self._set_again(vm, guest)
            guest.go_on()

    def start(self, vm: ManifestVm, argv: Sequence[str]) -> None:
        """Start QEMU with this command line, in the VM's unit."""
        self._launch().start(vm, argv)

    def _launch(self) -> Launch:
        return Launch(self.sysfs, self.run, self.deadlines.start_s, self.sleep)

    def _connect(self, path: str) -> Qmp:
        return _qmp.connect(self.sysfs.real(path), self.deadlines.answer_s)

    def _monitor(self, vm: ManifestVm) -> Qmp:
        return armed_monitor.connect(self.sysfs.real(QemuPart.of(vm).qmp), self.deadlines.answer_s, vm)

    @contextmanager
    def _guest(self, vm: ManifestVm) -> Iterator[Guest]:
        with self._monitor(vm) as qmp:
            yield Guest(qmp, vm, QemuPart.of(vm), self.deadlines, self.sleep)

    @contextmanager
    def _wait_for_guest(self, vm: ManifestVm) -> Iterator[Guest]:
        with self._launch().monitor(vm, lambda: self._connect(QemuPart.of(vm).qmp)) as qmp:
            yield Guest(qmp, vm, QemuPart.of(vm), self.deadlines, self.sleep)

    @contextmanager
    def _living(self, vm: ManifestVm) -> Iterator[Guest]:
        """The guest; raises `EndedError` once its QEMU is gone."""
        with self._end().connected(vm, lambda: self._monitor(vm), self.pid) as qmp:
            yield Guest(qmp, vm, QemuPart.of(vm), self.deadlines, self.sleep)

    def _end(self) -> End:
        return End(self.sysfs, self.run, self.deadlines.answer_s, self.sleep)

    def _set_again(self, vm: ManifestVm, guest: Guest) -> None:
        """Set what others had set on the former QEMU."""
        part = QemuPart.of(vm)
        taps.set_again(self.sysfs, self.run, guest.qmp.pid, part.argv, part.taps)
        threads.pin(guest.qmp, self.run, part.pins)


def _copy(guest: Guest, state: str) -> LiveCopy:
    return LiveCopy(guest, state, f"{state}{migration.NOTE}")


def _unplug(guest: Guest, state: str) -> Unplug:
    return Unplug(guest, f"{state}{NOTE}")
