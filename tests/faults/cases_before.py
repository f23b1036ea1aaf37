# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults while a host is armed, and while VFs are unplugged."""

from __future__ import annotations

import errno

from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.dry_run import CHILD

from . import others
from .edges import AFTER, CUT, ERROR, KILL, LIE, PAUSE, Strike
from .fault import BOTH, COLD, ENDED, MEMORY, Fault, Typed, each
from .guest import DEAF

DRY_START = f" {CHILD} "
FORGET = Typed("live-update forget --take-over", 0, "forgotten")

ARMING = (
    Fault("arm_killed_at_dry_start", "the module is killed when a restore is started dry", BOTH, "",
          strikes=(Strike("arm", DRY_START, KILL),)),
    Fault("arm_dry_start_fails", "a QEMU of a restore does not come up", BOTH, "",
          strikes=(Strike("arm", DRY_START, LIE, value='{"code": 1, "said": "gone"}'),)),
    Fault("arm_killed_before_manifest", "the module is killed before the manifest is there", BOTH, "",
          strikes=(Strike("arm", "file manifest.json", KILL),), typed=(FORGET,)),
    Fault("arm_killed_before_status", "the module is killed between manifest and status", BOTH, "",
          strikes=(Strike("arm", "file manifest.json", KILL, AFTER),), typed=(FORGET,)),
    Fault("arm_killed_when_armed", "the module is killed when all is armed, before the start", BOTH, "",
          strikes=(Strike("arm", "file status.json armed", KILL, AFTER),), typed=(FORGET,)),
    Fault("arm_disk_full", "no space for the manifest", BOTH, "",
          strikes=(Strike("arm", "file manifest.json", ERROR, value=errno.ENOSPC),), typed=(FORGET,)),
    Fault("arm_load_refused", "the kernel refuses to load the image", BOTH, "",
          strikes=(Strike("arm", "kexec load", ERROR, value=errno.EPERM),), typed=(FORGET,)),
    Fault("arm_load_lies", "the load says that it went well, and nothing is loaded", BOTH, "",
          strikes=(Strike("arm", "kexec load", LIE, value=0),), typed=(FORGET,)),
    Fault("arm_power_cut", "power cut when the host is armed: nothing was saved yet", each(ENDED), "",
          strikes=(Strike("arm", "file status.json armed", CUT, AFTER),), typed=(FORGET,)),
    Fault("arm_second_controller_at_once", "another controller arms while this one does", BOTH, "done",
          strikes=(Strike("arm", "file manifest.json", PAUSE),), meanwhile=others.arms),
    Fault("arm_second_controller_later", "another controller arms the armed host", BOTH, "done",
          before={"run": others.arms}),
)  # fmt: skip

UNPLUGGING = (
    Fault("vm_restarted_since_arming", "a VM was started anew after the host was armed", BOTH, "aborted",
          before={"run": others.restarts("web1")}),
    Fault("vm_killed_since_arming", "a VM was killed after the host was armed", {"web1": ENDED, "db1": MEMORY},
          "failed", before={"run": others.ends("web1")}),
    Fault("vm_shut_down_since_arming", "a VM's user shut it down after the host was armed",
          {"web1": ENDED, "db1": MEMORY}, "done", before={"run": others.shuts_down("web1")},
          vms={"web1": {"cold_start": True}}),
    Fault("stranger_since_arming", "a VM that nobody knows was started after the host was armed", BOTH, "aborted",
          before={"run": others.stranger}),
    Fault("deaf_guest", "a guest never releases its VF", BOTH, "aborted",
          delays={"web1": DEAF}, options={"unplug_s": 1.5}),
    Fault("late_guest", "a guest releases its VF after the update was given up", BOTH, "aborted",
          delays={"web1": 50}, options={"unplug_s": 2.0}),
    Fault("deaf_guest_shut_down", "a guest never releases its VF, and may be shut down",
          {"web1": COLD, "db1": MEMORY}, "done", delays={"web1": DEAF}, options={"unplug_s": 1.5},
          vms={"web1": {"straggler": "shutdown", "cold_start": True}}),
    Fault("unplug_refused", "QEMU refuses to unplug a VF", BOTH, "aborted",
          strikes=(Strike("run", "monitor web1 device_del", ERROR, value="Bus does not support hotplugging"),)),
    Fault("unplug_killed", "the run is killed after it has asked for a VF", BOTH, "aborted",
          strikes=(Strike("run", "monitor web1 device_del", KILL, AFTER),)),
    Fault("unplug_vm_killed", "a VM is killed while its VF is unplugged", {"web1": ENDED, "db1": MEMORY}, "failed",
          strikes=(Strike("run", "monitor web1 device_del", PAUSE),), meanwhile=others.ends("web1")),
    Fault("unplug_guest_shut_down", "a VM's user shuts it down while its VF is unplugged",
          {"web1": ENDED, "db1": MEMORY}, "done", vms={"web1": {"cold_start": True}},
          strikes=(Strike("run", "monitor web1 device_del", PAUSE),), meanwhile=others.shuts_down("web1")),
    Fault("unplug_power_cut", "power cut while VFs are unplugged: nothing was saved", each(ENDED), "",
          strikes=(Strike("run", "monitor web1 device_del", CUT, AFTER),), typed=(FORGET,)),
    Fault("unplug_forgotten", "somebody forgets the update while VFs are unplugged", BOTH, "done",
          strikes=(Strike("run", "file status.json unplugging", PAUSE, AFTER),), meanwhile=others.forgets),
    # QEMU plugs nothing in while memory is copied ("not allowed while migrating")
    Fault("plugged_again", "somebody plugs a VF again that was just released", BOTH, "aborted",
          strikes=(Strike("run", "file status.json copying", PAUSE, AFTER),), meanwhile=others.plugs("web1")),
    Fault("no_space_for_status", "no space for the status when VMs are to be unplugged", BOTH, "aborted",
          strikes=(Strike("run", "file status.json unplugging", ERROR, value=errno.ENOSPC),)),
)  # fmt: skip

GOES_DOWN = {"web1": {"strategy": "shutdown"}}
POWER = "monitor web1 system_powerdown"
STRATEGIES = (
    Fault("strategy_shutdown", "a VM is shut down instead of saved", {"web1": COLD, "db1": MEMORY}, "done",
          vms=GOES_DOWN),
    Fault("strategy_shutdown_refused", "a guest does not hear that it is to shut down", BOTH, "aborted",
          vms=GOES_DOWN, options={"shutdown_s": 2.0}, strikes=(Strike("run", POWER, LIE, value={}),)),
    Fault("strategy_shutdown_killed", "the run is killed when a guest was asked to shut down",
          {"web1": COLD, "db1": MEMORY}, "aborted", vms=GOES_DOWN, strikes=(Strike("run", POWER, KILL, AFTER),)),
    Fault("strategy_shutdown_power_cut", "power cut when a guest was asked to shut down",
          {"web1": COLD, "db1": ENDED}, "failed", vms=GOES_DOWN, strikes=(Strike("run", POWER, CUT, AFTER),),
          lands=("old",)),
    Fault("strategy_shutdown_then_aborted", "a save fails when another VM was shut down",
          {"web1": COLD, "db1": MEMORY}, "aborted", vms=GOES_DOWN,
          strikes=(Strike("run", "file db1/claim.json saved", ERROR, value=errno.ENOSPC),)),
)  # fmt: skip
CASES = ARMING + UNPLUGGING + STRATEGIES
