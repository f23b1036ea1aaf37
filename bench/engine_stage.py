#!/usr/bin/env python3
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time the SR-IOV stage of a resume by the engine.

    PYTHONPATH=/usr/local/sbin/sriovctl engine_stage.py N IDS PF...

The stage reads, plans, applies and reads again. Prints ``{"engine_s": seconds from the first read to the verified end,
"process_s": seconds since this process began}``.
"""

import json
import sys
import time

from kvmfleet_sriov._document.document import validate
from kvmfleet_sriov._document.resolve import resolve
from kvmfleet_sriov._engine.apply import apply_host
from kvmfleet_sriov._plan.plan import plan_host
from kvmfleet_sriov._readers.pfs import read_pfs
from kvmfleet_sriov._system.sysfs import Sysfs


def age() -> float:
    """Seconds since the start of this process.

    proc(5): field 22 of stat, in clock ticks since boot.
    """
    with open("/proc/self/stat", encoding="ascii") as file:
        ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / 100


def main(number: str, ids: str, *addresses: str) -> None:
    sysfs = Sysfs("/")
    begin = time.monotonic()
    states = read_pfs(sysfs, addresses)
    pfs = [{"pf": address, "hardware_vfs": int(number), "present_vfs": ids} for address in addresses]
    document = resolve(validate({"pfs": pfs}), states)
    outcome = apply_host(sysfs, plan_host(states, document))
    seconds = time.monotonic() - begin
    wanted = {int(one) for one in ids.split(",")}
    for address, pf in outcome.pfs.items():
        if pf.state.present != wanted or pf.state.enabled != int(number):
            raise SystemExit(f"{address}: {pf.state.enabled} VFs enabled, present {sorted(pf.state.present)}")
    print(json.dumps({"engine_s": seconds, "process_s": age()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
