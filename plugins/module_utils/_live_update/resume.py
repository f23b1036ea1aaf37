# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a live update after the kexec.

PFs, the VFs that VMs own, the VMs; then everything else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from .._model.errors import BadInputError, SriovError
from .._model.paths import COMMAND_LINE, RELEASE
from .._system import update_folder
from .._vm.record import ManifestVm
from . import ended, manifest_copies, manifest_file, meant_kernel, vf_users, watchdog_guard
from .machine import FAILURES, LiveHost
from .manifest import Manifest
from .options import parse
from .pfs import PfSet
from .restore import Restorer
from .service_start import Starting
from .status import Progress, progress_of
from .vf_watch import VfWatch


def resume(host: LiveHost) -> str | None:
    """Finish the update that this kernel was started for.

    Returns the phase reached, None when it was finished before. Idempotent: after an interruption the claims record the
    rest. Raises `BadInputError`, with nothing restored, for a manifest that is missing, stale or foreign.
    """
    manifest = _require(host)
    status = host.folder.read_status() or {}
    if status.get("manifest") == manifest.id and status.get("phase") in update_folder.FINAL:
        host.log(f"live update {manifest.id} is {status['phase']} already")
        return None
    work = Resume(host, manifest)
    try:
        return work.run()
    except FAILURES as error:
        work.progress.finish(update_folder.FAILED, "failed", str(error))
        raise


def _require(host: LiveHost) -> Manifest:
    cmdline = host.sysfs.read(COMMAND_LINE)
    try:
        meant_kernel.refuse_crash_kernel(host.sysfs)
        stored = manifest_copies.require(host, "nothing is restored")
        found = manifest_file.require_match(stored, cmdline, host.boot_id())
        meant_kernel.require(host.sysfs, found.kernel)
        return found
    except BadInputError as error:
        host.log(str(error))
        raise


@dataclass
class Resume:
    """One resume of a manifest's VMs.

    ``vms``: those to restore, all by default; ``reason``: why the host is not updated even if all VMs come back;
    ``again``, ``cold``, ``confirmed``: of the `Restorer`.
    """

    host: LiveHost
    manifest: Manifest
    vms: tuple[ManifestVm, ...] | None = None
    reason: str | None = None
    again: bool = False
    cold: Collection[str] = ()
    confirmed: Collection[str] = ()
    progress: Progress = field(init=False)
    restorer: Restorer = field(init=False)
    pfs: PfSet = field(init=False)
    watch: VfWatch = field(init=False)
    services: Starting = field(init=False)
    first: dict[str, list[int]] | None = None
    started: bool = False

    def __post_init__(self) -> None:
        self.progress = progress_of(self.host, self.manifest)
        self.progress.result["kernel_after"] = self.host.sysfs.read(RELEASE)
        self.restorer = Restorer(
            self.host, self.manifest, self.progress, self.host.boot_id(), self.again, self.cold, self.confirmed
        )
        self.pfs = PfSet(self.host, self.manifest, parse(self.manifest.options))
        self.watch = VfWatch(self.host, self.progress)
        self.services = Starting(self.host, self.manifest.services, parse(self.manifest.options).start_s)

    def run(self) -> str:
        """Restore VMs, then fill; returns the final phase.

        VMs of higher priority come first, then by name.
        """
        guard = watchdog_guard.taken(self.host, self.manifest)
        self.progress.on_step = guard.step
        if self.again:  # other VMs may run by now, and whoever does this by hand may go away
            guard.release()
        try:
            return self._run()
        finally:
            guard.release()

    def _run(self) -> str:
        self.progress.enter(update_folder.RESUMING)
        self._load_modules()
        self.services.begin()
        threads = self.pfs.enable_all()
        good = self._restore_all()
        for thread in threads:
            thread.join()
        last = self._present()
        self.progress.result["present_ids_at_first_restore"] = last if self.first is None else self.first
        self.progress.result["present_ids_at_last_restore"] = last
        self.progress.enter(update_folder.FILLING)
        problems = self.pfs.fill(self._owned_by_failed(good))
        if self.watch.open:
            self.progress.enter(update_folder.CHECKING)
        self.watch.finish()
        return self._finish(good, problems)

    def _load_modules(self) -> None:
        """Load the modules that QEMU needs.

        A module that this kernel lacks is no error: QEMU itself reports what it cannot do without.
        """
        missing = self._absent_modules()
        if missing:
            try:
                self.host.run(["modprobe", "--quiet", "--all", *missing])
            except SriovError as error:
                absent = ", ".join(self._absent_modules())
                self.host.log(f"modules that the kernel before had, and that are not loaded now: {absent} ({error})")

    def _absent_modules(self) -> list[str]:
        """Modules of the manifest without a folder in /sys/module.

        Built-in modules without parameters have none either, but modprobe knows them (modules.builtin).
        """
        return [name for name in self.manifest.modules if not self.host.sysfs.exists(f"/sys/module/{name}")]

    def _restore_all(self) -> set[str]:
        """Restore each VM once its own VFs are right.

        Returns the names of the VMs that run at the end.
        """
        wanted = self.manifest.vms if self.vms is None else self.vms
        pending = sorted(wanted, key=lambda vm: (-vm.priority, vm.name))
        good = {vm.name for vm in self.manifest.vms if vm not in wanted and self.host.pid(vm) is not None}
        running: dict[str, Future[bool]] = {}
        with ThreadPoolExecutor(max(1, min(len(pending), parse(self.manifest.options).restore_at_once))) as pool:
            while pending:
                group = self.pfs.next_ready(pending)
                pending = [vm for vm in pending if vm not in group]
                for vm in self._prepare(group):
                    self._note_first()
                    running[vm.name] = pool.submit(self._restore, vm)
        good.update(name for name, future in running.items() if future.result())
        return good

    def _restore(self, vm: ManifestVm) -> bool:
        self.services.wait()
        self.progress.on_step(False)
        good = self.restorer.restore(vm)
        if good:
            self.watch.begin(vm)
        return good or ended.by_itself(self.host, vm)

    def _prepare(self, group: Sequence[ManifestVm]) -> list[ManifestVm]:
        """Add a group's VFs; returns the VMs that can be restored.

        With one write per PF for the whole group; when that fails, VM by VM, so that one VM fails alone. Others may
        use them once the update has ended.
        """
        foreign = [vm for vm in group if self.again and vf_users.is_foreign(self.host, vm)]
        if foreign:  # whose claims decide
            return [*foreign, *self._prepare([vm for vm in group if vm not in foreign])]
        try:
            if self.again:
                vf_users.require_unused(self.host, group)
            self.pfs.give(group)
            return list(group)
        except FAILURES as error:  # whatever an odd PF answers, it concerns its VMs alone
            if len(group) == 1:
                self.restorer.failed(group[0], SriovError(f"it stays stopped, its VFs are not as they were: {error}"))
                return []
        return [vm for one in group for vm in self._prepare([one])]

    def _note_first(self) -> None:
        if not self.started:
            self.started = True
            self.first = self._present()
            self.progress.enter(update_folder.RESTORING)

    def _present(self) -> dict[str, list[int]]:
        """Present VFs for the evidence, on which no VM waits."""
        try:
            return self.pfs.present()
        except FAILURES as error:
            self.host.log(f"which VFs are present cannot be read: {error}")
            return {}

    def _owned_by_failed(self, good: set[str]) -> frozenset[tuple[str, int]]:
        """VFs of VMs that do not run.

        The fill does not add them: nobody has read their properties back.
        """
        return frozenset((vf.pf, vf.id) for vm in self.manifest.vms if vm.name not in good for vf in vm.vfs)

    def _finish(self, good: set[str], problems: list[str]) -> str:
        states = self.pfs.states()
        mine = {pf.pf: states[pf.pf] for pf in self.manifest.pfs if pf.pf in states}
        lost = [vm.name for vm in self.manifest.vms if vm.name not in good]
        if lost:
            problems = [f"VMs not restored: {', '.join(lost)}", *problems]
        problems += self.services.problems
        problems += manifest_copies.note_strays(self.host, self.manifest, self.progress)
        outcome = "failed" if problems else "updated"
        if self.reason is not None:
            outcome, problems = "returned", [self.reason, *problems]
        self.progress.finish(
            update_folder.FAILED if problems else update_folder.DONE,
            outcome,
            "; ".join(problems) or None,
            interface=next((state.interface for state in mine.values()), None),
            pfs=[pf.pf for pf in self.manifest.pfs],
            vfs_enabled={address: state.enabled for address, state in mine.items()},
            vfs_present_at_end={address: len(state.present) for address, state in mine.items()},
        )
        return update_folder.FAILED if problems else update_folder.DONE
