# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults while VMs are brought back."""

from __future__ import annotations

import errno

from . import others
from .edges import AFTER, CUT, ERROR, HOLD, KILL, LIE, PAUSE, Strike
from .fault import BOTH, COLD, ENDED, GIVEN_UP, KEPT, MEMORY, NEW, OLD, PANIC, Fault, Typed

CLAIMED, RUNNING = "file web1/claim.json claimed", "file web1/claim.json running"
START, CONT = "run systemd-run .*kvmfleet-vm-web1", "monitor web1 cont"
DB1_WAITS = Strike("resume", "file db1/claim.json claimed", HOLD)
LEFT = {"web1": {"on_other_kernel": "leave"}}


def killed(name: str, what: str, at: str, when: str) -> Fault:
    return Fault(name, f"the resume is killed {what}", BOTH, "done", strikes=(Strike("resume", at, KILL, when),))


RESUME = (
    killed("resume_killed_at_once", "before it has said that it began", "file status.json resuming", "before"),
    killed("resume_killed_before_vfs", "before VFs are added", "write .*sriov_scan_vf_id", "before"),
    killed("resume_killed_after_vfs", "after VFs are added", "write .*sriov_scan_vf_id", AFTER),
    killed("resume_killed_before_claimed", "before it claims a VM", CLAIMED, "before"),
    killed("resume_killed_after_claimed", "when it has claimed a VM", CLAIMED, AFTER),
    killed("resume_killed_after_start", "when a VM's QEMU waits for its state", START, AFTER),
    killed("resume_killed_in_load", "while a VM's state is loaded", "monitor web1 migrate-incoming", AFTER),
    killed("resume_killed_after_plug", "when a VM has its VF again", "monitor web1 device_add", AFTER),
    killed("resume_killed_before_cont", "when a VM is to run", RUNNING, AFTER),
    killed("resume_killed_after_cont", "when a VM runs", CONT, AFTER),
    killed("resume_killed_in_fill", "while other VFs are added", "file status.json filling", AFTER),
    Fault("resume_cut_before_claimed", "power cut before a VM is claimed", BOTH, "failed", lands=(NEW, OLD),
          strikes=(DB1_WAITS, Strike("resume", CLAIMED, CUT))),
    Fault("resume_cut_after_start", "power cut when a VM's QEMU waits for its state", BOTH, "failed", lands=(NEW, OLD),
          strikes=(DB1_WAITS, Strike("resume", START, CUT, AFTER))),
    Fault("resume_cut_in_load", "power cut while a VM's state is loaded", BOTH, "failed", lands=(NEW, OLD),
          strikes=(DB1_WAITS, Strike("resume", "monitor web1 device_add", CUT))),
    Fault("resume_cut_after_cont", "power cut when a VM has run again: its state is history",
          {"web1": ENDED, "db1": MEMORY}, "failed", lands=(NEW, OLD),
          strikes=(DB1_WAITS, Strike("resume", CONT, CUT, AFTER))),
    Fault("resume_cut_after_cont_cold", "power cut when a VM has run again, and may start from its disk",
          {"web1": COLD, "db1": MEMORY}, "failed", lands=(NEW, OLD), vms={"web1": {"cold_start": True}},
          strikes=(DB1_WAITS, Strike("resume", CONT, CUT, AFTER))),
    Fault("come_back_cut", "after a panic the power is cut once more while VMs come back", BOTH, "failed",
          lands=(PANIC, OLD, OLD),
          strikes=(Strike("come-back", "file db1/claim.json claimed", HOLD), Strike("come-back", START, CUT, AFTER))),
    Fault("come_back_killed", "after a panic what brings VMs back is killed", BOTH, "failed", lands=(PANIC, OLD),
          strikes=(Strike("come-back", CLAIMED, KILL, AFTER),), typed=(Typed("live-update restore --take-over", 1),)),
)  # fmt: skip

REFUSED = (
    Fault("cont_refused", "QEMU refuses to let a loaded VM run", BOTH, "done",
          strikes=(Strike("resume", CONT, ERROR, value="Failed to get \"write\" lock"),)),
    Fault("start_refused", "systemd refuses to start a VM's unit", BOTH, "done",
          strikes=(Strike("resume", START, ERROR, value="Failed to start transient service unit"),)),
    Fault("load_refused", "QEMU refuses to load a VM's state", BOTH, "done",
          strikes=(Strike("resume", "monitor web1 migrate-incoming", ERROR, value="no"),)),
    Fault("plug_refused", "a VF cannot be opened", BOTH, "done",
          strikes=(Strike("resume", "monitor web1 device_add", ERROR, nth=0, value="vfio: error getting device"),)),
    Fault("vf_properties_refused", "the PF's driver refuses a VF's properties", BOTH, "done",
          strikes=(Strike("resume", "run ip link set dev eth0 vf 0 ", ERROR, nth=0, value="RTNETLINK answers: EIO"),)),
    Fault("vf_properties_lie", "the PF's driver accepts a VF's properties and forgets them", BOTH, "done",
          strikes=(Strike("resume", "run ip link set dev eth0 vf 0 ", LIE, nth=0, value=""),)),
    Fault("vfs_refused", "the kernel refuses to enable VFs", BOTH, "done",
          strikes=(Strike("resume", "write .*sriov_numvfs", ERROR, nth=0, value=errno.EIO),)),
    Fault("vf_bind_lies", "binding VFs to vfio-pci does nothing", BOTH, "done",
          strikes=(Strike("resume", "write .*(drivers_probe|/bind)", LIE, nth=0),)),
    Fault("resume_claim_disk_full", "no space for a claim when a VM is to start", BOTH, "done",
          strikes=(Strike("resume", CLAIMED, ERROR, value=errno.ENOSPC),)),
    Fault("resume_running_disk_full", "no space for a claim when a VM is to run", BOTH, "done",
          strikes=(Strike("resume", RUNNING, ERROR, value=errno.ENOSPC),)),
    Fault("resume_status_disk_full", "no space for the status when the resume begins", BOTH, "done",
          strikes=(Strike("resume", "file status.json resuming", ERROR, value=errno.ENOSPC),)),
    Fault("resume_vm_killed", "a VM is killed while its state is loaded", BOTH, "done",
          strikes=(Strike("resume", "monitor web1 device_add", PAUSE),), meanwhile=others.ends("web1")),
    Fault("resume_vm_killed_after_cont", "a VM is killed when it runs again: its state is history",
          {"web1": ENDED, "db1": MEMORY}, "failed",
          strikes=(Strike("resume", CONT, PAUSE, AFTER),), meanwhile=others.ends("web1")),
    Fault("resume_second_controller", "another controller arms while VMs come back", BOTH, "done",
          strikes=(Strike("resume", "file status.json restoring", PAUSE, AFTER),), meanwhile=others.arms),
)  # fmt: skip

LATER = (
    Fault("kept_forgotten", "somebody forgets the update while a VM is saved", {"web1": KEPT, "db1": MEMORY}, "failed",
          lands=(PANIC, OLD), vms=LEFT, typed=(Typed("live-update forget --take-over", 3, "would be lost"),)),
    Fault("kept_armed_again", "an update is armed while a VM is saved", {"web1": KEPT, "db1": MEMORY}, "failed",
          lands=(PANIC, OLD), vms=LEFT,
          before={"live-update status": others.arms}, typed=(Typed("live-update status", 0),)),
    Fault("restored_twice", "an operator restores a VM twice", BOTH, "failed", lands=(PANIC, OLD), vms=LEFT,
          typed=(Typed("live-update restore --take-over web1", 1), Typed("live-update restore --take-over web1", 1))),
    Fault("restore_killed", "an operator's restore is killed, and typed again", BOTH, "failed", lands=(PANIC, OLD),
          vms=LEFT, strikes=(Strike("live-update restore --take-over web1", CONT, KILL),),
          typed=(Typed("live-update restore --take-over web1", -9), Typed("live-update restore --take-over", 1))),
    Fault("restore_elsewhere", "a kept VM is started on another host before its restore is typed",
          {"web1": GIVEN_UP, "db1": MEMORY}, "failed", lands=(PANIC, OLD), vms=LEFT,
          before={"live-update restore --take-over web1": others.elsewhere("web1")},
          typed=(Typed("live-update restore --take-over web1", 1, "not loaded"),)),
)  # fmt: skip
CASES = RESUME + REFUSED + LATER
