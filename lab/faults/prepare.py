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
from collections.abc import Callable

from ..machine import monitor
from ..machine.host import Running
from ..progress import LabError
from . import guests
from .guests import Seen
from .rows import LabFault

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


def prepared(host: Running, row: LabFault, release: str) -> Seen:
    """A host without an update, whose guests count."""
    _awake(host)
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


def succeeds(host: Running, command: str) -> bool:
    return host.ssh.run(f"if {command}; then echo yes; fi").strip() == "yes"


def until(done: Callable[[], bool], what: str, pause_s: float = 1.0) -> None:
    end = time.monotonic() + DEADLINE_S
    while not done():
        if time.monotonic() > end:
            raise LabError(f"waited {DEADLINE_S:.0f} s for {what}")
        time.sleep(pause_s)


def _awake(host: Running) -> None:
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
    names = " --discard-memory ".join(["", *(vm.name for vm in host.host.vms)])
    for more in ("", names):
        host.ssh.run(f"{SRIOVCTL} live-update forget --take-over{more} || true")
    return guests.look(host.ssh, host.host).phase == ""


def _drivers(host: Running) -> set[str]:
    """Drivers of the VFs of its VMs."""
    found = guests.look(host.ssh, host.host).drivers
    return {found.get(vm.vf, "") for vm in host.host.vms}


def _booted(host: Running, row: LabFault, release: str) -> bool:
    """Whether it runs what the row begins with.

    Else a reset leads there.
    """
    if not row.boot:
        return True
    host.ssh.run(f"grub-editenv /boot/grub/grubenv set extra_arguments={shlex.quote(row.boot)}")
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
            now = guests.look(host.ssh, host.host)
            return now.boot != before and not now.busy
        return False

    until(other_boot, "the boot after a reset", pause_s=2)
