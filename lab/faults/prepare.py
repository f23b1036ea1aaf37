# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host before a case, without what others have left.

The case before may have failed, with its fault still waiting, its update under way, or its units frozen.
"""

import contextlib
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable

from ..machine import monitor, vm
from ..machine.host import Running
from ..progress import LabError
from . import guests
from .guests import Seen
from .rows import ROWS, LabFault

DEADLINE_S = 600.0
SRIOVCTL = "/usr/local/sbin/sriovctl"
FAULTS = "kvmfleet-fault-now.service kvmfleet-fault.service"
"""Units that wait for a phase, one for each kernel."""
CLEAR = (
    "rm -f /var/lib/kvmfleet-lab/fill /var/lib/kvmfleet-lab/crash; "
    f"systemctl stop {FAULTS} 2>/dev/null; systemctl reset-failed {FAULTS} 2>/dev/null; "
    "systemctl disable --quiet kvmfleet-fault.service kvmfleet-crash.service 2>/dev/null; "
    "rm -f /etc/systemd/system/kvmfleet-fault.service /etc/systemd/system/kvmfleet-crash.service; "
    "systemctl daemon-reload; sync"
)
SPENT = (
    "test $(cat /proc/sys/kernel/kexec_load_disabled) = 0 && "
    "{ test ! -e /sys/kernel/security/lockdown || grep -q '\\[none\\]' /sys/kernel/security/lockdown; }"
)
"""Whether a kernel may be loaded; a boot takes both settings back."""
GRUBENV = "/boot/grub/grubenv"
WORDS = tuple(dict.fromkeys(row.boot for row in ROWS if row.boot))
"""Words of the boot default in which cases begin."""
NO_UPDATE = "test ! -e /var/lib/kvmfleet-sriov/live-update/status.json"
POLL_S = 30.0
"""Deadline of a look at a host that may go away meanwhile.

The next one asks again.
"""


def prepared(host: Running, row: LabFault, release: str) -> Seen:
    """A host without an update, whose guests count."""
    awake(host)
    host.ssh.run(CLEAR)
    if not succeeds(host, SPENT) or not _booted(host, row, release):
        _reset(host)
    if not _forgotten(host):
        _reset(host)
        if not _forgotten(host):
            raise LabError(f"an earlier update stays: {host.ssh.run(f'{SRIOVCTL} live-update status')}")
    until(lambda: _drivers(host) == {"vfio-pci"}, "its VFs")
    guests.start(host.ssh, host.host)
    until(lambda: min(one.sequence for one in guests.look(host.ssh, host.host).sectors.values()) > 3, "its guests")
    if row.before:
        host.ssh.run(row.before)
    return guests.look(host.ssh, host.host)


def idle(host: Running, release: str) -> None:
    """Have the host in its boot default, without VMs and updates.

    Whatever cases of updates have left, and without the words of their boots. ``release``: of the boot default.
    """
    awake(host)
    host.ssh.run(f"{CLEAR}; grub-editenv {GRUBENV} unset extra_arguments; sync")
    if not is_plain(host, release) or not _forgotten(host):
        _reset(host)
        if not _forgotten(host):
            raise LabError(f"an earlier update stays: {host.ssh.run(f'{SRIOVCTL} live-update status')}")
    for one in host.host.vms:
        vm.end(host.ssh, one)
    until(lambda: not guests.look(host.ssh, host.host).processes, "the end of its VMs")


def is_plain(host: Running, release: str) -> bool:
    """Whether it has booted its default, without an update.

    Nor with words of a case on its command line.
    """
    words = [f"! grep -qF {shlex.quote(one)} /proc/cmdline" for one in WORDS]
    return succeeds(host, " && ".join([SPENT, f"test $(uname -r) = {shlex.quote(release)}", *words, NO_UPDATE]))


def boot_words(host: Running, rows: Iterable[LabFault]) -> None:
    """Give the boot default the words in which rows begin.

    In good time: a row before them may boot it.
    """
    words = " ".join(dict.fromkeys(row.boot for row in rows if row.boot))
    if words:
        host.ssh.run(f"grub-editenv {GRUBENV} set extra_arguments={shlex.quote(words)}; sync")


def succeeds(host: Running, command: str) -> bool:
    return host.ssh.run(f"if {command}; then echo yes; fi").strip() == "yes"


def until(done: Callable[[], bool], what: str, pause_s: float = 1.0) -> None:
    end = time.monotonic() + DEADLINE_S
    while not done():
        if time.monotonic() > end:
            raise LabError(f"waited {DEADLINE_S:.0f} s for {what}")
        time.sleep(pause_s)


def awake(host: Running) -> None:
    """Wait for the host, and reset one that hangs."""
    try:
        host.ssh.wait(120)
    except LabError:
        monitor.execute(host, "system_reset")
        host.ssh.wait(300)


def _forgotten(host: Running) -> bool:
    """Whether nothing is left of an earlier update.

    Not while one is under way in this boot: only a reset ends that, and what brings its VMs back then is awaited.
    """
    names = " --discard-memory ".join(["", *(one.name for one in host.host.vms)])
    forget = f"{SRIOVCTL} live-update forget --take-over"
    host.ssh.run(f"{forget} || {forget}{names} || true")
    return guests.look(host.ssh, host.host).phase == ""


def _drivers(host: Running) -> set[str]:
    """Drivers of the VFs of its VMs."""
    found = guests.look(host.ssh, host.host).drivers
    return {found.get(one.vf, "") for one in host.host.vms}


def _booted(host: Running, row: LabFault, release: str) -> bool:
    """Whether it runs what the row begins with.

    Else a reset leads there.
    """
    if not row.boot:
        return True
    host.ssh.run(f"grub-editenv {GRUBENV} set extra_arguments={shlex.quote(row.boot)}")
    return host.ssh.run("uname -r").strip() != release and row.boot in host.ssh.run("cat /proc/cmdline").split()


def _reset(host: Running) -> None:
    """Press the reset button; firmware starts the boot default.

    Returns once nothing of an update is at work there.
    """
    before = guests.look(host.ssh, host.host).boot
    host.ssh.run("sync")
    monitor.execute(host, "system_reset")

    def other_boot() -> bool:
        with contextlib.suppress(LabError, subprocess.SubprocessError, ValueError):
            now = guests.look(host.ssh, host.host, POLL_S)
            return now.boot != before and not now.busy
        return False

    until(other_boot, "the boot after a reset", pause_s=2)
