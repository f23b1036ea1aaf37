#!/usr/bin/env python3
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load the running kernel again and jump into it, on the host: no firmware, no boot loader, VFs as they are.

PYTHONPATH=/usr/local/sbin/sriovctl jump.py [MORE COMMAND LINE]
"""

import os
import sys

from kvmfleet_sriov import _process
from kvmfleet_sriov._kexec import Kexec, command_line
from kvmfleet_sriov._sysfs import Sysfs


def main(extra: str = "") -> None:
    sysfs, release = Sysfs("/"), os.uname().release
    initrd = f"/boot/initrd.img-{release}"
    kexec = Kexec(sysfs, _process.run)
    text = command_line(sysfs.read("/proc/cmdline"), None, "kvmfleet.update", extra)
    kexec.load(f"/boot/vmlinuz-{release}", initrd if os.path.exists(initrd) else None, text)
    kexec.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
