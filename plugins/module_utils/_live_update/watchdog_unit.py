# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A watchdog that nobody can stop, from the resume to systemd.

It is `nowayout`. systemd is made to feed it by D-Bus, which comes after the resume, and after the first guests. A unit
feeds it from the resume on until systemd has it, as whatever feeds it must outlive the resume.
"""

from __future__ import annotations

import errno
import threading

from .._model.errors import KernelError, SriovError
from .._model.paths import PROGRAM
from .._model.update_deadlines import WATCHDOG_PAUSE_S
from .._model.update_paths import BUS, WATCHDOG_UNIT
from .machine import LiveHost
from .watchdog import PER_TIMEOUT, Dog

PROPERTY = (
    "busctl", "--timeout=5", "set-property", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
    "org.freedesktop.systemd1.Manager", "RuntimeWatchdogUSec", "t",
)  # fmt: skip
"""How systemd is made to feed a watchdog until the next boot.

org.freedesktop.systemd1(5)
"""
TRIES = 3
"""Attempts to open a watchdog until others have it for certain."""


def hand_over(host: LiveHost, name: str, timeout_s: int) -> None:
    """Feed a watchdog, and start the unit that goes on with it.

    As long as this process lives it feeds the watchdog, too, where the unit does not. Raises `KernelError` EBUSY when
    others feed it already.
    """
    dog = Dog(host.sysfs, name)
    try:
        timeout_s = _with_timeout(host, dog, timeout_s)
        dog.feed()
    finally:
        dog.close()
    threading.Thread(target=_stand_in, args=(host, name, timeout_s / PER_TIMEOUT), daemon=True).start()
    host.run([
        "systemd-run", "--quiet", "--collect", f"--unit={WATCHDOG_UNIT}",
        "--description=Feed a watchdog until systemd does", "--property=Type=exec",
        "--property=DefaultDependencies=no", "--property=OOMScoreAdjust=-900", "--property=Restart=on-failure",
        "--", PROGRAM, "live-update", "feed", name, str(timeout_s),
    ])  # fmt: skip
    host.log(f"watchdog {name} is fed by {WATCHDOG_UNIT} until systemd has it, as nobody can stop it")


def feed(host: LiveHost, name: str, timeout_s: int) -> None:
    """Feed a watchdog until others have it, systemd if it takes it.

    It takes the first watchdog alone (WatchdogDevice= of systemd-system.conf(5)), so what it was made to do is looked
    at: any other stays here.
    """
    pause, asked = timeout_s / PER_TIMEOUT, False
    while True:
        dog = _opened(host, name)
        if dog is None:
            host.log(f"watchdog {name} is fed by others")
            return
        dog.feed()
        while asked or not host.sysfs.exists(BUS):
            host.sleep(pause)
            dog.feed()
        dog.close()  # systemd opens it next
        asked = _tell_systemd(host, timeout_s)
        if not asked:
            host.sleep(min(pause, WATCHDOG_PAUSE_S))


def _with_timeout(host: LiveHost, dog: Dog, timeout_s: int) -> int:
    """The timeout that it has, whether it takes this one or not."""
    try:
        return max(1, dog.set_timeout(timeout_s))
    except KernelError as error:
        host.log(f"{error}: it is fed all the same")
        return max(1, timeout_s // PER_TIMEOUT)


def _opened(host: LiveHost, name: str) -> Dog | None:
    """The watchdog; None when others keep it open."""
    for _try in range(TRIES):
        try:
            return Dog(host.sysfs, name)
        except KernelError as error:
            if error.errno != errno.EBUSY:
                raise
        host.sleep(WATCHDOG_PAUSE_S)
    return None


def _tell_systemd(host: LiveHost, timeout_s: int) -> bool:
    try:
        host.run([*PROPERTY, str(timeout_s * 1_000_000)])
    except SriovError as error:
        host.log(f"systemd does not feed a watchdog yet: {error}")
        return False
    return True


def _stand_in(host: LiveHost, name: str, pause: float) -> None:
    """Feed the watchdog whenever nobody has it open."""
    while True:
        host.sleep(pause)
        try:
            dog = Dog(host.sysfs, name)
            dog.feed()
            dog.close()
        except KernelError as error:
            if error.errno != errno.EBUSY:
                return
        except OSError:
            return
