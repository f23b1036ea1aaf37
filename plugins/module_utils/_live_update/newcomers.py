# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that begin between the first look and the jump.

A kexec would end them. Processes are looked at in full while guests run; inside the outage only the kernel's events of
new KVM VMs are read (kvm_uevent_notify_change, virt/kvm/kvm_main.c), and processes that are new or run another program.
A VM without KVM raises no event, but is such a process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .._holders.processes import open_files, pids
from .._model.errors import KernelError, RefusedError
from .._model.update_deadlines import PROBE_PAUSE_S, PROBE_S
from .._system.uevents import Uevents
from .._vm.candidates import Candidate, control_group, in_the_way, is_dry_start, started, strangers, unit
from .machine import FAILURES, LiveHost

KVM = "/devices/virtual/misc/kvm"
USED = ("anon_inode:kvm-vcpu:", "/dev/vfio/", "/dev/iommu")
"""Beginnings of open files of a VM in use."""
Known = Sequence["tuple[int, int]"]
"""Process ids of armed VMs, with their start in clock ticks."""


@dataclass
class Newcomers:
    """A watch that begins with a full look.

    events: None where the kernel's events cannot be had; then the last look is a full one, too. old: start and
    program of processes that a full look has seen; created: VMs of a process that were made since, with the time; seen:
    processes of the last look.
    """

    host: LiveHost
    services: Sequence[str]
    events: Uevents | None
    old: dict[int, tuple[int, str]] = field(default_factory=dict)
    created: dict[int, list[float]] = field(default_factory=dict)
    deaf: bool = False
    thread: threading.Thread | None = None
    seen: frozenset[int] = frozenset()
    failure: Exception | None = None

    @classmethod
    def begin(cls, host: LiveHost, services: Sequence[str], known: Known) -> Newcomers:
        """Listen, then look at all processes.

        In this order, so that nothing begins unseen. Raises `RefusedError` for what could be an unknown VM.
        """
        events = host.listen()
        watch = cls(host, services, events, deaf=events is None)
        if watch.deaf:
            host.log("the kernel's events of new VMs cannot be heard here: processes are looked at before the jump")
        mine = {pid for pid, _started in known}
        watch.old = {pid: one for pid, one in watch._processes().items() if pid not in mine}
        watch._require(strangers(host.sysfs, known))
        return watch

    def look_meanwhile(self, known: Known) -> None:
        """Look at all processes once more, while VMs are saved.

        An old process may have opened a device without a word.
        """
        self.thread = threading.Thread(target=self._look, args=(known,), daemon=True)
        self.thread.start()

    def require_no_vm(self) -> None:
        """Raise `RefusedError` for a KVM VM that was made since.

        One without a virtual CPU or device is waited for, as libvirt asks so what KVM can do.
        """
        while (pid := next(iter(self._alive()), None)) is not None:
            if self._is_used(pid) or time.monotonic() - self.created[pid][-1] > PROBE_S:
                raise RefusedError(
                    f"process {pid} has started a VM since the last look at this host: end it, or arm the update again"
                )
            self.host.sleep(PROBE_PAUSE_S)

    def require_none(self) -> None:
        """Look for the last time, before the jump.

        Whatever is alive is no armed VM. Raises `RefusedError` as `begin`.
        """
        if self.thread is not None:
            self.thread.join()
        if self.failure is not None:
            raise self.failure
        self.require_no_vm()
        now = self._processes()
        if self.deaf:
            self._require(strangers(self.host.sysfs, []))
        else:
            self._require(strangers(self.host.sysfs, [], [pid for pid, one in now.items() if self.old.get(pid) != one]))
        self.seen = frozenset(now)

    def require_none_since(self) -> None:
        """Look once more when disks are synced, the moment before the jump.

        At the kernel's events, and at processes that are new since `require_none`: names of folders, which costs no
        outage. Raises `RefusedError` as `begin`.
        """
        self.require_no_vm()
        self._require(strangers(self.host.sysfs, [], [pid for pid in pids(self.host.sysfs) if pid not in self.seen]))

    def _look(self, known: Known) -> None:
        try:
            self._require(strangers(self.host.sysfs, known))
        except FAILURES as error:  # whatever it is, the jump must not follow
            self.failure = error

    def _require(self, found: Sequence[Candidate]) -> None:
        bad = in_the_way(found, self.services)
        if bad:
            raise RefusedError(f"{bad[0]} could be a VM, and is none that was armed: end it, or arm the update again")

    def _processes(self) -> dict[int, tuple[int, str]]:
        """Start and program of each process; some may end meanwhile."""
        found: dict[int, tuple[int, str]] = {}
        for pid in pids(self.host.sysfs):
            try:
                found[pid] = started(self.host.sysfs, pid), self.host.sysfs.target(f"/proc/{pid}/exe") or ""
            except (KernelError, ValueError, IndexError):
                continue
        return found

    def _alive(self) -> list[int]:
        """Processes whose VMs were made since, and are not gone."""
        events, lost = ([], False) if self.events is None else self.events.read()
        self.deaf = self.deaf or lost
        for event in events:
            pid = event.get("PID", "")
            if event.get("DEVPATH") == KVM and pid.isascii() and pid.isdecimal() and len(pid) < 11:
                self._count(int(pid), event.get("EVENT"))
        return [pid for pid, times in self.created.items() if times and not self._is_harmless(pid)]

    def _count(self, pid: int, event: str | None) -> None:
        times = self.created.setdefault(pid, [])
        if event == "create":
            times.append(time.monotonic())
        elif event == "destroy" and times:
            times.pop()

    def _is_harmless(self, pid: int) -> bool:
        """Whether it is a declared service, or a dry start."""
        try:
            if is_dry_start(self.host.sysfs, pid):
                return True
            return unit(control_group(self.host.sysfs, pid)) in self.services
        except KernelError:
            return False

    def _is_used(self, pid: int) -> bool:
        return any(target.startswith(USED) for _pid, _path, target in open_files(self.host.sysfs, [pid]))
