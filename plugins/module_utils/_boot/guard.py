# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guard of a kernel that is tried: judges health, and goes back.

It runs at each boot, as a unit of its own. A host whose new kernel is not healthy, or that is not confirmed in time,
reboots into the default, which is the known-good kernel; not by itself while VMs run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .._model.errors import SriovError
from .._model.update_deadlines import GUARD_PAUSE_S
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import auto_kexec, health, kept, loaders, proof, proven, trial
from .answer import Loader
from .guard_watchdog import Watchdog
from .trial import Trial

LOOK = 4
"""Exit status where somebody must look.

The unit is not started again then.
"""
FAILURES = (Exception,)
"""Failures of reading a boot loader, whose files may be anything."""
NOT_WELL = (trial.GOING_BACK, trial.HELD, trial.FAILED)
"""Phases in which having booted proves nothing."""
NEVER = "it never came to its guard: it was not loaded, or it hung or panicked before"
ENDED = "it ended before it was confirmed: a panic, a reset or a reboot"


def since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Guard:
    """What the guard acts on.

    ``vms`` names processes that could be VMs; ``unload`` takes away a kernel that is loaded for kexec; ``now``: seconds
    since the boot, so that a guard which is started again and again has no more time.
    """

    sysfs: Sysfs
    run: Run
    vms: Callable[[], Sequence[str]]
    log: Callable[[str], None]
    unload: Callable[[], None]
    find: Callable[[Sysfs, Run], Loader] = loaders.find
    reach: health.Reach = health.reach
    now: Callable[[], float] = since_boot
    sleep: Callable[[float], None] = time.sleep

    def watch(self) -> int:
        """Judge this boot; returns 0, or `LOOK`."""
        with trial.held(self.sysfs):
            found = trial.load(self.sysfs)
            if found is None or found.phase in trial.FINAL:
                return 0
            if found.phase == trial.ARMED and found.boot == trial.boot_id(self.sysfs):
                return 0  # not rebooted yet
            if not found.runs(self.sysfs):
                return self._after(found)
            self._store(found, trial.BOOTED, boot=trial.boot_id(self.sysfs))
        watchdog = Watchdog(self.run, self.log)
        status = self._judge(found, watchdog)
        if status is None:
            self._reboot()
            return 0
        watchdog.stop()
        return status

    def _after(self, found: Trial) -> int:
        """Another kernel runs: the trial has failed; nothing of it may wait."""
        reason = {trial.ARMED: NEVER, trial.BOOTED: ENDED, trial.HEALTHY: ENDED}.get(found.phase, found.reason)
        self._store(found, trial.FAILED, reason)
        try:
            loader = self.find(self.sysfs, self.run)
            answer = loader.answer()
            if answer.next.kernel != answer.default.kernel:
                loader.set_once(None)
        except FAILURES as error:
            self.log(f"whether a kernel still waits to be tried is not known: {error}")
        return LOOK

    def _judge(self, found: Trial, watchdog: Watchdog) -> int | None:
        """Look until it is confirmed; returns the status, None to go back."""
        healthy = False
        while True:
            watchdog.start(found.watchdog_s)
            current = trial.load(self.sysfs)
            if current is None or current.phase == trial.CONFIRMED:
                return 0
            spent = self.now()
            wrong = health.problems(self.sysfs, self.run, found, self.reach) if not healthy else []
            if not healthy and not wrong:
                healthy = True
                with trial.held(self.sysfs):
                    proof.record(self.sysfs)
                    self._store(found, trial.HEALTHY)
            if not healthy and spent >= found.health_s:
                return self._back(found, "; ".join(wrong), sick=True)
            if healthy and spent >= found.confirm_s:
                return self._back(found, f"it was not confirmed within {found.confirm_s:g} s", sick=False)
            self.sleep(GUARD_PAUSE_S)

    def _back(self, found: Trial, reason: str, sick: bool) -> int | None:
        """Decide to go back: None, or the status where it stays.

        A sick host may not be able to read what it would start, as without the file system of its boot loader. It goes
        back all the same: nobody may reach it, and what starts after the trial was known when that was armed.
        """
        with trial.held(self.sysfs):
            current = trial.load(self.sysfs)
            if current is None or current.phase == trial.CONFIRMED:
                return 0
            if not sick and self._is_default(found):
                self._store(found, trial.CONFIRMED)
                return 0
            vms = [] if found.with_vms else list(self.vms())
            if vms:
                return self._hold(found, f"{reason}. It does not go back by itself, as VMs run: {', '.join(vms[:5])}")
            try:
                problem = self._no_way(found)
            except FAILURES as error:
                problem = None if sick else f"what would start is not known: {error}"
                self.log(f"what would start is not known: {error}")
            if problem is not None:
                return self._hold(found, f"{reason}. It does not go back: {problem}")
            self._store(found, trial.GOING_BACK, reason)
        return None

    def _is_default(self, found: Trial) -> bool:
        """Whether it is the default already, which is kept as wanted then.

        A confirmation was cut short, by a loss of power say, or somebody has set it: a reboot would start it again.
        """
        try:
            default = self.find(self.sysfs, self.run).answer().default
        except FAILURES as error:
            self.log(f"the default is not known: {error}")
            return False
        if not default.pinned or proven.of_file(self.sysfs, default.kernel) != found.build:
            return False
        kept.keep(self.sysfs, default)
        return True

    def _reboot(self) -> None:
        """Reboot through the firmware; by force where systemd refuses."""
        try:
            self.run(list(auto_kexec.REBOOT))
        except SriovError as error:
            self.log(str(error))
            self.run([*auto_kexec.REBOOT, "--force"])

    def _no_way(self, found: Trial) -> str | None:
        """Why a reboot would not lead to the known-good kernel, or None."""
        by_kexec = self._by_kexec()
        if by_kexec is not None:
            return by_kexec
        start = self.find(self.sysfs, self.run).answer().next
        if start.kernel != found.good_kernel or start.missing:
            return f"{start.kernel or start.entry} would start, not {found.good_kernel}"
        return None

    def _by_kexec(self) -> str | None:
        """Unload what a reboot would start; why it still would."""
        try:
            if auto_kexec.is_loaded(self.sysfs):
                self.unload()
        except SriovError as error:
            self.log(str(error))
        return auto_kexec.problem(self.sysfs)

    def _hold(self, found: Trial, reason: str) -> int:
        self._store(found, trial.HELD, reason)
        return LOOK

    def _store(self, found: Trial, phase: str, reason: str = "", boot: str | None = None) -> None:
        if phase in NOT_WELL:
            proven.forget(self.sysfs, found.build)
        self.log(f"kernel {found.release}, tried once: {phase}{f', {reason}' if reason else ''}")
        trial.store(self.sysfs, replace(found, phase=phase, reason=reason, boot=boot or trial.boot_id(self.sysfs)))
