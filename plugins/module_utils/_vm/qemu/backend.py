# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VM backend `qemu` by detach: unplug the VFs, stop, save to a file; later start anew, load, plug the VFs, go on.

Each step looks at what QEMU says it is doing and does what is left, so that an interrupted save can be undone and an
interrupted restore finished. Nothing here ends a QEMU whose state is not complete, durable and fingerprinted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..._model.errors import DeadlineError, SriovError
from ..._model.paths import NETDEVS
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from .. import state_file
from ..record import ManifestVm
from ..state_file import Fingerprint
from . import argv as _qemu_argv
from . import probe as _qemu_probe
from . import qmp as _qmp
from .devices import GuestDevice, vfio_devices
from .probe import Probe
from .qmp import Qmp, QmpError

FAST = 10**12
"""Bytes a second for a stopped guest: the default limit of 128 MiB/s is meant for networks."""


@dataclass(frozen=True)
class Deadlines:
    """Seconds that each wait may take; a guest under emulation needs 20 times what hardware needs."""

    unplug: float = 120.0
    migrate: float = 600.0
    start: float = 120.0
    answer: float = 60.0


@dataclass(frozen=True)
class Saved:
    """When unplug (or stop) was requested and when the state was durable, in seconds since the epoch."""

    paused_at: float
    saved_at: float
    fingerprint: Fingerprint


@dataclass(frozen=True)
class QemuBackend:
    """``sysfs`` gives the root of the host; ``run`` runs systemctl and systemd-run; clocks are given for tests."""

    sysfs: Sysfs
    run: Run
    deadlines: Deadlines = field(default_factory=Deadlines)
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def connect(self, vm_qmp: str) -> Qmp:
        return _qmp.connect(self.sysfs.real(vm_qmp), self.deadlines.answer)

    def probe(self, qmp_path: str, argv: Sequence[str]) -> Probe:
        """Ask a running QEMU whether and how it can be saved; `SriovError` when it does not speak QMP."""
        with self.connect(qmp_path) as qmp:
            return _qemu_probe.probe(qmp, argv)

    def probe_status(self, vm: ManifestVm) -> str:
        """query-status: running, paused, inmigrate, postmigrate, ... (qapi/run-state.json)."""
        with self.connect(vm.qmp) as qmp:
            return str(qmp.execute("query-status")["status"])

    def save(self, vm: ManifestVm, state: str) -> Saved:
        """Unplug, stop, write ``state`` (a path on this machine) and seal it. QEMU stays: `resume_here` can undo it."""
        with self.connect(vm.qmp) as qmp:
            devices = vfio_devices(qmp, vm.argv)
            _require_as_armed(qmp, vm, devices)
            paused_at = self.now()
            self._unplug(qmp, vm, devices)
            qmp.execute("stop")
            self._migrate(qmp, state)
        fingerprint = state_file.seal(state)
        return Saved(paused_at, self.now(), fingerprint)

    def resume_here(self, vm: ManifestVm) -> None:
        """Undo a save, however far it came, in the QEMU that is still there: VFs plugged again, guest running."""
        with self.connect(vm.qmp) as qmp:
            if qmp.execute("query-migrate").get("status") in ("active", "setup", "device", "pre-switchover"):
                qmp.execute("migrate_cancel")
                self._settle(qmp)
            self._go_on(qmp, vm)

    def release(self, vm: ManifestVm) -> None:
        """End the QEMU of a VM whose state is safe, and wait until its process is gone."""
        with self.connect(vm.qmp) as qmp:
            status = qmp.execute("query-status")["status"]
            if status != "postmigrate":
                raise SriovError(f"VM {vm.name} is {status} after its save: it is not ended")
            pid = qmp.pid
            qmp.execute("quit")
            qmp.wait_closed(self.deadlines.answer)
        self._until(lambda: self.sysfs.link(f"/proc/{pid}/exe") is None, f"QEMU {pid} of VM {vm.name} to exit")

    def start(self, vm: ManifestVm, argv: Sequence[str]) -> None:
        """A QEMU with ``argv`` in a transient unit of the VM's name: a child of the resume unit would die with it."""
        for bridge in _qemu_argv.bridges(argv):
            self._until(partial(self.sysfs.exists, f"{NETDEVS}/{bridge}"), f"bridge {bridge} of VM {vm.name}")
        for folder in _qemu_argv.run_folders(argv):
            os.makedirs(self.sysfs.real(folder), mode=0o755, exist_ok=True)
        if self.sysfs.exists(vm.qmp):
            os.unlink(self.sysfs.real(vm.qmp))
        self.run([
            "systemd-run", "--quiet", "--collect", f"--unit={vm.unit}", f"--working-directory={vm.cwd}",
            "--property=Type=exec", "--property=DefaultDependencies=no", "--property=Conflicts=shutdown.target",
            "--property=Before=shutdown.target", "--", *argv,
        ])  # fmt: skip

    def restore(self, vm: ManifestVm, state: str, before_cont: Callable[[], None]) -> None:
        """Bring a started, or adopted, QEMU to the running guest; ``before_cont`` precedes its first instruction."""
        with self._wait_for_qmp(vm) as qmp:
            if qmp.execute("query-status")["status"] == "inmigrate":
                self._load(qmp, state)
            self._go_on(qmp, vm, before_cont)

    def cold_start(self, vm: ManifestVm) -> None:
        """Start the guest from its disk, with the VFs it had: those of its command line, then those plugged later."""
        self.start(vm, _qemu_argv.for_cold_start(vm.argv))
        with self._wait_for_qmp(vm) as qmp:
            self._go_on(qmp, vm)

    def kill_unstarted(self, vm: ManifestVm) -> bool:
        """End a QEMU whose guest has not executed anything; True when it is gone for certain."""
        try:
            with self.connect(vm.qmp) as qmp:
                pid = qmp.pid
                if qmp.execute("query-status")["running"]:
                    return False
                qmp.execute("quit")
                qmp.wait_closed(self.deadlines.answer)
            self._until(lambda: self.sysfs.link(f"/proc/{pid}/exe") is None, f"QEMU {pid} to exit")
        except SriovError:
            return not self._active(vm)
        return True

    def _unplug(self, qmp: Qmp, vm: ManifestVm, devices: Sequence[GuestDevice]) -> None:
        """All at once: each guest driver takes its time (pciehp waits 5 s after the button is pressed)."""
        for device in devices:
            try:
                qmp.execute("device_del", id=device.handle)
            except QmpError as error:
                if "already in the process of unplug" not in error.description:
                    raise
        until = time.monotonic() + self.deadlines.unplug
        for device in devices:
            what = f"VM {vm.name} to let go of VF {device.address} ({device.handle})"
            event = qmp.wait_event(_about(device), what, until - time.monotonic())
            if event["event"] != "DEVICE_DELETED":
                raise SriovError(f"VM {vm.name}: the guest refused to unplug VF {device.address} ({device.handle})")

    def _migrate(self, qmp: Qmp, state: str) -> None:
        qmp.execute("migrate-set-capabilities", capabilities=[{"capability": "multifd", "state": False}])
        qmp.execute("migrate-set-parameters", **{"max-bandwidth": FAST})
        qmp.execute("migrate", uri=f"file:{state}")
        _qmp.poll_migration(qmp, self.deadlines.migrate, self.sleep)
        status = qmp.execute("query-status")["status"]
        if status != "postmigrate":
            raise SriovError(f"the migration is complete but QEMU is {status}, expected postmigrate")

    def _settle(self, qmp: Qmp) -> None:
        try:
            _qmp.poll_migration(qmp, self.deadlines.answer, self.sleep)
        except DeadlineError:
            raise
        except SriovError:
            return

    def _load(self, qmp: Qmp, state: str) -> None:
        if qmp.execute("query-migrate").get("status", "none") == "none":
            extra = {"exit-on-error": False} if qmp.version >= (9, 1, 0) else {}
            qmp.execute("migrate-incoming", uri=f"file:{state}", **extra)
        _qmp.poll_migration(qmp, self.deadlines.migrate, self.sleep)

    def _go_on(self, qmp: Qmp, vm: ManifestVm, before_cont: Callable[[], None] = lambda: None) -> None:
        """Plug the VFs that are missing, continue, and see that both are so."""
        plugged = {device.address for device in vfio_devices(qmp, vm.argv)}
        for vf in vm.vfs:
            if vf.address not in plugged:
                self._plug(qmp, vf.device)
        if not qmp.execute("query-status")["running"]:
            before_cont()
            qmp.execute("cont")
        status = qmp.execute("query-status")
        missing = {vf.address for vf in vm.vfs} - {device.address for device in vfio_devices(qmp, vm.argv)}
        if not status["running"] or missing:
            raise SriovError(f"VM {vm.name} is {status['status']}, VFs missing: {', '.join(sorted(missing)) or 'none'}")

    def _plug(self, qmp: Qmp, device: Mapping[str, Any]) -> None:
        """Plug one VF. A group can be open only once (drivers/vfio/group.c): udev may have it for a moment."""
        until = time.monotonic() + self.deadlines.answer
        while True:
            try:
                qmp.execute("device_add", timeout=self.deadlines.start, **device)
                return
            except QmpError as error:
                if "busy" not in error.description or time.monotonic() >= until:
                    raise
                self.sleep(0.02)

    def _wait_for_qmp(self, vm: ManifestVm) -> Qmp:
        until = time.monotonic() + self.deadlines.start
        while True:
            try:
                return self.connect(vm.qmp)
            except SriovError as error:
                if time.monotonic() >= until:
                    raise DeadlineError(f"VM {vm.name}: {error} after {self.deadlines.start:g} s") from error
                if not self._active(vm):
                    raise SriovError(f"VM {vm.name}: its QEMU ended at once; see journalctl -u {vm.unit}") from error
                self.sleep(0.02)

    def _active(self, vm: ManifestVm) -> bool:
        state = self.run(["systemctl", "show", "--property=ActiveState", "--value", vm.unit]).strip()
        return state not in ("inactive", "failed")

    def _until(self, done: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + self.deadlines.answer
        while not done():
            if time.monotonic() >= until:
                raise DeadlineError(f"gave up waiting for {what}")
            self.sleep(0.01)


def _about(device: GuestDevice) -> Callable[[dict[str, Any]], bool]:
    names = ("DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR")
    return lambda event: event["event"] in names and event.get("data", {}).get("path") == device.path


def _require_as_armed(qmp: Qmp, vm: ManifestVm, devices: Sequence[GuestDevice]) -> None:
    """The run state is read again immediately before each save: a VM that changed since arming is not touched."""
    have, armed = {device.address for device in devices}, {vf.address for vf in vm.vfs}
    if have != armed:
        raise SriovError(f"VM {vm.name} owns VFs {sorted(have)}, armed were {sorted(armed)}: arm the update again")
    status = qmp.execute("query-status")["status"]
    if status != "running":
        raise SriovError(f"VM {vm.name} is {status}, not running: it is not saved")
