#!/usr/bin/env python3
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for a phase of the live update, then strike, once.

watcher.py PHASE,PHASE COMMAND: units of the update are frozen in that phase, the phase is announced on the console for
who cuts the power, and the command is run. They go on after it; without a command they do not.
"""

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

MOVED_TO = 0x80
"""IN_MOVED_TO (include/uapi/linux/inotify.h)."""
STATUS = "/var/lib/kvmfleet-sriov/live-update/status.json"
ANNOUNCED = "kvmfleet-fault: now"
UNIT = "/etc/systemd/system/sysinit.target.wants/kvmfleet-fault.service"
GROUPS = "/sys/fs/cgroup/system.slice"
CONSOLE = "/dev/console"
UNITS = ("kvmfleet-live-update.service", "kvmfleet-sriov-resume.service")


def phase() -> str:
    try:
        with open(STATUS, encoding="utf-8") as file:
            return str(json.load(file)["phase"])
    except (OSError, ValueError, KeyError):
        return ""


def changes() -> Iterator[None]:
    """Yield now, and whenever a file of the update is replaced.

    By inotify(7): a loop would take the CPU from what it waits for.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init()
    while libc.inotify_add_watch(handle, os.path.dirname(STATUS).encode(), MOVED_TO) < 0:
        time.sleep(0.1)  # until there is a folder
    yield
    while os.read(handle, 4096):
        yield


def freeze(value: str) -> None:
    """Stop what is at work, or let it go on (Documentation/admin-guide/cgroup-v2.rst).

    VMs have units of their own.
    """
    for unit in UNITS:
        path = f"{GROUPS}/{unit}/cgroup.freeze"
        if os.path.exists(path):
            with open(path, "w", encoding="ascii") as file:
                file.write(value)


def main() -> None:
    phases, command = sys.argv[1].split(","), sys.argv[2]
    if os.path.lexists(UNIT):
        os.unlink(UNIT)
        os.sync()
    for _change in changes():
        if phase() in phases:
            break
    freeze("1")
    with open(CONSOLE, "w", encoding="utf-8") as console:
        print(ANNOUNCED, file=console)
    if command:
        subprocess.run(["sh", "-c", command], check=False)
        freeze("0")


if __name__ == "__main__":
    main()
