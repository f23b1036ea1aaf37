# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks around the jump: read-only for it, writable again without it.

SysRq u remounts all of them and says of none that it was writable, so that is noted before. The note is in /run, which
a boot empties, and which SysRq leaves alone: it takes file systems with a block device (fs/super.c,
do_emergency_remount_callback).
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .._model.deadlines import KEXEC_PAUSE_S
from .._model.errors import SriovError
from .._model.update_deadlines import REMOUNT_S
from .._model.update_paths import READ_ONLY
from .._system import durable
from .._system.process import Run
from .._system.sysfs import Sysfs


@dataclass(frozen=True)
class Disks:
    """The mounted disks of a host, by their mount points."""

    sysfs: Sysfs
    run: Run
    sleep: Callable[[float], None] = time.sleep

    def make_read_only(self, deadline_s: float = REMOUNT_S) -> None:
        """Remount all disks read-only, as SysRq u, and wait for it.

        A file system that stays writable is no reason to stay: it is synced, its journal replays.
        """
        path = self.sysfs.real(READ_ONLY)
        durable.make_folder(os.path.dirname(path))
        durable.write_json(path, {"folders": self._mounted("rw")})
        self.sysfs.write("/proc/sysrq-trigger", "u")
        self._wait(deadline_s)

    def make_writable(self, settle_s: float = 0.0) -> None:
        """Remount what `make_read_only` has remounted; nothing without its note.

        ``settle_s``: time for the kernel to end what a run that was killed has asked for. Raises `SriovError` with what
        to type for disks that stay read-only.
        """
        folders = self._noted()
        if not folders:
            return
        self._wait(settle_s)
        answers = [self._remount(folder) for folder in folders if folder in self._mounted("ro")]
        left = [folder for folder in folders if folder in self._mounted("ro")]
        if left:
            why = "; ".join(answer for answer in answers if answer) or "the kernel says no reason"
            commands = "; ".join(f"mount -o remount,rw {shlex.quote(folder)}" for folder in left)
            raise SriovError(f"the jump into the new kernel left disks read-only: {why}. Type `{commands}`")
        durable.remove(self.sysfs.real(READ_ONLY))

    def _remount(self, folder: str) -> str:
        """Remount one; returns why it failed."""
        try:
            self.run(["mount", "-o", "remount,rw", folder])
        except SriovError as error:
            return str(error)
        return ""

    def _noted(self) -> Sequence[str]:
        path = self.sysfs.real(READ_ONLY)
        try:
            note = durable.read_json(path)
            found = note["folders"] if note is not None else []
            if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
                raise SriovError(f"{path} names no folders")
        except (SriovError, KeyError) as error:
            read_only = ", ".join(self._mounted("ro")) or "none"
            raise SriovError(
                f"it is not known which disks the jump made read-only ({error}). Read-only are now: {read_only}. "
                f"Remount those that must be writable (mount -o remount,rw FOLDER) and type `rm {READ_ONLY}`"
            ) from error
        return found

    def _wait(self, deadline_s: float) -> None:
        """Wait until all disks are read-only, at most so long."""
        until = time.monotonic() + deadline_s
        while self._mounted("rw") and time.monotonic() < until:
            self.sleep(KEXEC_PAUSE_S)

    def _mounted(self, mode: str) -> list[str]:
        """Mount points of block devices that are ``rw`` or ``ro``, from /proc/mounts."""
        lines = [line.split() for line in self.sysfs.read("/proc/mounts").splitlines()]
        return [_unescaped(one[1]) for one in lines if one[0].startswith("/dev/") and mode in one[3].split(",")]


def _unescaped(path: str) -> str:
    """A path of /proc/mounts, where blanks are ``\\040`` (proc_pid_mounts(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)
