#!/usr/bin/env python3
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for a phase of the live update, then strike, once.

watcher.py PHASE,PHASE COMMAND; without a command the phase is only announced on the console, for who cuts the power.
"""

import json
import os
import subprocess
import sys
import time

STATUS = "/var/lib/kvmfleet-sriov/live-update/status.json"
ANNOUNCED = "kvmfleet-fault: now"
UNIT = "/etc/systemd/system/sysinit.target.wants/kvmfleet-fault.service"


def phase() -> str:
    try:
        with open(STATUS, encoding="utf-8") as file:
            return str(json.load(file)["phase"])
    except (OSError, ValueError, KeyError):
        return ""


def main() -> None:
    phases, command = sys.argv[1].split(","), sys.argv[2]
    if os.path.lexists(UNIT):
        os.unlink(UNIT)
        os.sync()
    while phase() not in phases:
        time.sleep(0.02)
    with open("/dev/console", "w", encoding="utf-8") as console:
        print(ANNOUNCED, file=console)
    subprocess.run(["sh", "-c", command], check=False)


if __name__ == "__main__":
    main()
