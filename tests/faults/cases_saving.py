# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults while VMs are saved, and at the jump."""

from __future__ import annotations

import errno

from . import others
from .edges import AFTER, CUT, ERROR, HOLD, KILL, LIE, PAUSE, Strike
from .fault import BOTH, COLD, CRASH, ENDED, GIVEN_UP, KEPT, MEMORY, OLD, OTHERS, PANIC, STANDS, Fault, Typed, each

MIGRATE, SAVED = "monitor web1 migrate$", "file web1/claim.json saved"
RESTORE = Typed("live-update restore --take-over", 0)
RESTORE_WEB1 = Typed("live-update restore --take-over web1", 0)
USED = Typed("live-update status", 0, "has its image")
FORGET = Typed("live-update forget --take-over", 0, "forgotten")
REFUSED = Strike("run", "kexec reboot", ERROR, value=errno.EPERM)
MAY_START = {"web1": {"cold_start": True}}

SAVING = (
    Fault("save_refused", "QEMU refuses to save a VM", BOTH, "aborted",
          strikes=(Strike("run", MIGRATE, ERROR, value="State blocked by non-migratable device"),)),
    Fault("save_disk_full", "no space for a VM's state", BOTH, "aborted",
          strikes=(Strike("run", MIGRATE, PAUSE),), meanwhile=others.full_disk("web1")),
    Fault("save_claim_disk_full", "no space for a VM's claim", BOTH, "aborted",
          strikes=(Strike("run", SAVED, ERROR, value=errno.ENOSPC),)),
    Fault("save_claim_disk_full_opened_here", "the same, while another QEMU has the VM's disk already", BOTH, "aborted",
          strikes=(Strike("run", SAVED, PAUSE), Strike("run", SAVED, ERROR, value=errno.ENOSPC)),
          meanwhile=others.opens_disk("web1"), before={RESTORE_WEB1.words: others.ends("by-hand")},
          typed=(USED, RESTORE_WEB1)),
    Fault("save_status_refused", "an I/O error of the status when all are saved", BOTH, "aborted",
          strikes=(Strike("run", "file status.json saved", ERROR, value=errno.EIO),)),
    Fault("save_killed_before_migrate", "the run is killed when a VM is to be saved", BOTH, "aborted",
          strikes=(Strike("run", MIGRATE, KILL),)),
    Fault("save_killed_in_migrate", "the run is killed while a VM is saved", BOTH, "aborted",
          strikes=(Strike("run", MIGRATE, KILL, AFTER),)),
    Fault("save_killed_before_claim", "the run is killed before a VM's claim", BOTH, "aborted",
          strikes=(Strike("run", SAVED, KILL),)),
    Fault("save_killed_after_claim", "the run is killed after a VM's claim", BOTH, "aborted",
          strikes=(Strike("run", SAVED, KILL, AFTER),)),
    Fault("save_killed_when_saved", "the run is killed when all are saved", BOTH, "aborted",
          strikes=(Strike("run", "file status.json saved", KILL, AFTER),)),
    Fault("save_killed_status_damaged", "the run is killed when all are saved, and the status is cut", BOTH, "aborted",
          strikes=(Strike("run", "file status.json saved", KILL, AFTER),),
          before={"recover": others.truncates("status.json")}),
    Fault("save_killed_manifest_damaged", "the run is killed when all are saved, and the manifest is cut", BOTH,
          "aborted", strikes=(Strike("run", "file status.json saved", KILL, AFTER),),
          before={"recover": others.truncates("manifest.json")}),
    Fault("save_killed_after_quit", "the run is killed when a VM's process has ended", BOTH, "aborted",
          strikes=(Strike("run", "monitor web1 quit", KILL, AFTER),)),
    Fault("save_power_cut_one_saved", "power cut when one VM is saved and the other is not",
          {"web1": MEMORY, "db1": ENDED}, "failed",
          strikes=(Strike("run", "file db1/claim.json saved", HOLD), Strike("run", SAVED, CUT, AFTER))),
    Fault("save_power_cut_all_saved", "power cut when all VMs are saved", BOTH, "failed",
          strikes=(Strike("run", "file status.json saved", CUT, AFTER),)),
    Fault("save_recover_killed", "the run is killed, and what undoes it too", BOTH, "aborted",
          strikes=(Strike("run", SAVED, KILL, AFTER), Strike("recover", "monitor web1 cont", KILL)), typed=(RESTORE,)),
    Fault("save_recover_power_cut", "power cut while a killed run is undone: a VM runs already, its state is history",
          {"web1": GIVEN_UP, "db1": MEMORY}, "failed", meanwhile=others.waits_for("web1"),
          strikes=(Strike("run", "file status.json saved", KILL, AFTER),
                   Strike("recover", "file db1/claim.json claimed", HOLD),
                   Strike("recover", "monitor web1 cont", PAUSE, AFTER),
                   Strike("recover", "monitor web1 cont", CUT, AFTER))),
)  # fmt: skip

COPYING = (
    Fault("copy_vm_killed", "a VM is killed while its memory is copied", {"web1": ENDED, "db1": MEMORY}, "failed",
          strikes=(Strike("run", MIGRATE, PAUSE),), meanwhile=others.ends("web1")),
    Fault("copy_vm_killed_cold_start", "a VM is killed while its memory is copied, and may start from its disk",
          {"web1": COLD, "db1": MEMORY}, "done", strikes=(Strike("run", MIGRATE, PAUSE),),
          meanwhile=others.ends("web1"), vms=MAY_START),
    Fault("copy_vm_killed_aborted", "the same, and the kernel refuses to jump", {"web1": COLD, "db1": MEMORY},
          "aborted", strikes=(Strike("run", MIGRATE, PAUSE), REFUSED), meanwhile=others.ends("web1"),
          vms=MAY_START),
    Fault("copy_guest_shut_down", "a VM's user shuts it down while its memory is copied",
          {"web1": ENDED, "db1": MEMORY}, "done", strikes=(Strike("run", MIGRATE, PAUSE),),
          meanwhile=others.shuts_down("web1"), vms=MAY_START),
    Fault("copy_guest_shut_down_aborted", "the same, and the kernel refuses to jump",
          {"web1": ENDED, "db1": MEMORY}, "aborted", strikes=(Strike("run", MIGRATE, PAUSE), REFUSED),
          meanwhile=others.shuts_down("web1"), vms=MAY_START),
    Fault("copy_guest_shut_down_killed", "the same, and the run is killed before it can record that",
          {"web1": ENDED, "db1": MEMORY}, "aborted", meanwhile=others.shuts_down("web1"), vms=MAY_START,
          strikes=(Strike("run", MIGRATE, PAUSE), Strike("run", "file web1/claim.json ended", KILL))),
    Fault("copy_power_cut", "power cut while memory is copied: nothing of it can be used", each(ENDED), "",
          strikes=(Strike("run", MIGRATE, CUT, AFTER),), typed=(FORGET,)),
    Fault("copy_power_cut_cold_start", "power cut while memory is copied, and a VM may start from its disk",
          {"web1": COLD, "db1": ENDED}, "failed", strikes=(Strike("run", MIGRATE, CUT, AFTER),), vms=MAY_START),
    Fault("copy_power_cut_opened_here", "the same, and another QEMU has its disk by then", {"web1": COLD, "db1": ENDED},
          "failed", strikes=(Strike("run", MIGRATE, CUT, AFTER),), vms=MAY_START,
          before={"come-back": others.opens_disk("web1"), RESTORE_WEB1.words: others.ends("by-hand")},
          typed=(USED, Typed(RESTORE_WEB1.words, 1))),
    Fault("copy_power_cut_not_elsewhere", "power cut while memory is copied, and a VM runs elsewhere by now",
          each(ENDED), "failed", strikes=(Strike("run", MIGRATE, CUT, AFTER),), vms=MAY_START,
          options={"confirm_not_elsewhere": ["/bin/false"]}),
)  # fmt: skip

JUMP = (
    Fault("jump_refused", "the kernel refuses to jump", BOTH, "aborted",
          strikes=(Strike("run", "kexec reboot", ERROR, value=errno.EPERM),)),
    Fault("jump_lies", "the call of the jump comes back as if it were done", BOTH, "aborted",
          strikes=(Strike("run", "kexec reboot", LIE, value=0),)),
    Fault("jump_unloaded", "somebody unloads the kernel before the jump", BOTH, "aborted",
          strikes=(Strike("run", "file status.json kexec", PAUSE, AFTER),), meanwhile=others.unloads),
    Fault("jump_killed", "the run is killed right before the jump", BOTH, "aborted",
          strikes=(Strike("run", "kexec reboot", KILL),)),
    Fault("jump_killed_disk_stays", "the run is killed right before the jump, a disk stays read-only",
          BOTH, "aborted", typed=(RESTORE,),
          strikes=(Strike("run", "kexec reboot", KILL), Strike("recover", "run mount", ERROR, value="protected"))),
    Fault("jump_status_damaged", "the status is cut before the new kernel", BOTH, "done",
          before={"resume": others.truncates("status.json")}),
    Fault("jump_manifest_damaged", "the manifest is cut before the new kernel, and made anew", BOTH, "done",
          before={"resume": others.truncates("manifest.json")}),
    Fault("jump_panic_manifest_damaged", "the new kernel panics, and the manifest is cut", BOTH, "failed",
          lands=(PANIC, OLD), before={"come-back": others.truncates("manifest.json")}),
    Fault("jump_copy_damaged", "the manifest is cut, and so is a VM's copy of it", {"web1": GIVEN_UP, "db1": MEMORY},
          "failed", before={"resume": others.all_of(others.truncates("manifest.json"),
                                                    others.truncates("vms/web1/manifest.json"))}),
    Fault("jump_result_damaged", "the result is cut before the new kernel", BOTH, "done",
          before={"resume": others.truncates("result.json")}),
    Fault("jump_panic_status_damaged", "the new kernel panics, and the status is cut", BOTH, "failed",
          lands=(PANIC, OLD), before={"come-back": others.truncates("status.json")}),
    Fault("jump_stranger", "a VM that nobody knows is started before the jump", BOTH, "aborted",
          strikes=(Strike("run", "file status.json saved", PAUSE, AFTER),), meanwhile=others.stranger),
    Fault("jump_power_cut", "power cut right before the jump", BOTH, "failed",
          strikes=(Strike("run", "kexec reboot", CUT),)),
    Fault("jump_panic", "the new kernel panics", BOTH, "failed", lands=(PANIC, OLD)),
    Fault("jump_panic_thrice", "the new kernel panics, and the old one twice before it comes up", BOTH, "failed",
          lands=(PANIC, PANIC, PANIC, OLD)),
    Fault("jump_crash_kernel", "the new kernel panics into a crash kernel", BOTH, "failed", lands=(CRASH, OLD)),
    Fault("jump_panic_leave", "the new kernel panics, the policy is to leave a VM saved",
          {"web1": KEPT, "db1": MEMORY}, "failed", lands=(PANIC, OLD), vms={"web1": {"on_other_kernel": "leave"}}),
    Fault("jump_panic_cold", "the new kernel panics, the policy is to start a VM from its disk",
          {"web1": COLD, "db1": MEMORY}, "failed", lands=(PANIC, OLD),
          vms={"web1": {"on_other_kernel": "cold-start", "cold_start": True}}),
)  # fmt: skip

DISKS = (
    Fault("elsewhere_after_panic", "the new kernel panics, and the VM is started on another host",
          {"web1": GIVEN_UP, "db1": MEMORY}, "failed", lands=(PANIC, OLD),
          before={"come-back": others.elsewhere("web1")}),
    Fault("elsewhere_before_resume", "the VM is started on another host before the resume",
          {"web1": GIVEN_UP, "db1": MEMORY}, "failed", before={"resume": others.elsewhere("web1")}),
    Fault("elsewhere_before_abort", "a saved VM is started on another host, and the update is given up",
          {"web1": STANDS, "db1": MEMORY}, "failed", meanwhile=others.elsewhere_once_saved("web1"),
          strikes=(Strike("run", "file db1/claim.json saved", PAUSE),
                   Strike("run", "file db1/claim.json saved", ERROR, value=errno.ENOSPC))),
    Fault("elsewhere_before_recover", "the same, and the run is killed",
          {"web1": STANDS, "db1": MEMORY}, "failed", meanwhile=others.elsewhere_once_saved("web1"),
          strikes=(Strike("run", "file db1/claim.json saved", PAUSE),
                   Strike("run", "file db1/claim.json saved", KILL))),
    Fault("opened_here_before_resume", "a QEMU of another name has a VM's disk, without a write", BOTH, "done",
          before={"resume": others.opens_disk("web1"), RESTORE_WEB1.words: others.ends("by-hand")},
          typed=(USED, RESTORE_WEB1)),
    Fault("image_replaced", "a VM's image is replaced by a copy", {"web1": GIVEN_UP, "db1": MEMORY}, "failed",
          before={"resume": others.replaces_disk("web1")}),
    Fault("image_rolled_back", "a VM's image is rolled back to a snapshot", {"web1": GIVEN_UP, "db1": MEMORY}, "failed",
          before={"run": others.copies_disk("web1"), "resume": others.rolls_back("web1")}),
    Fault("state_damaged", "a VM's state has lost its second half", {"web1": GIVEN_UP, "db1": MEMORY}, "failed",
          before={"resume": others.truncates("vms/web1/state")}),
    Fault("claim_damaged", "a VM's claim has lost its second half", {"web1": GIVEN_UP, "db1": MEMORY}, "failed",
          before={"resume": others.truncates("vms/web1/claim.json")}),
    Fault("started_here_before_resume", "somebody starts the VM on this host before the resume",
          {"web1": OTHERS, "db1": MEMORY}, "failed", before={"resume": others.starts("web1")}),
    Fault("started_here_after_panic", "somebody starts the VM on this host after a panic",
          {"web1": OTHERS, "db1": MEMORY}, "failed", lands=(PANIC, OLD), before={"come-back": others.starts("web1")}),
)  # fmt: skip
CASES = SAVING + COPYING + JUMP + DISKS
