"""Rows of the faults that need a real kernel or systemd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

FLEET = "faults"
"""Fleet of these rows, and of trials."""
OLD, NEW, SAME = "old", "new", "same"
"""Kernels: the boot default, the update's, the one that ran."""
MEMORY, ENDED = "memory", "ended"
"""Ends of both VMs: running with their memory, or not running.

Ended is a VM whose guest ran when the power was cut: no update can bring that back.
"""
PANIC = "echo 3 >/proc/sys/kernel/panic; echo c >/proc/sysrq-trigger"
RESET = "echo b >/proc/sysrq-trigger"
FILL = "cat /dev/zero >/var/lib/kvmfleet-lab/fill || true"
RUN, RESUME = "kvmfleet-live-update.service", "kvmfleet-sriov-resume.service"
CRASH = "python3 /root/kvmfleet-crash.py"
UNLOAD = "python3 -c 'import ctypes; ctypes.CDLL(None).syscall(320, -1, -1, 0, None, 1)'"
"""kexec_file_load(2) with KEXEC_FILE_UNLOAD (include/uapi/linux/kexec.h)."""
HANG = r"printf '#!/bin/sh\nexec sleep infinity\n' >/root/kvmfleet-hang; chmod 755 /root/kvmfleet-hang; sync"
WATCHDOG = "watchdog.stop_on_reboot=0"
"""Words without which the drivers stop their watchdogs at a kexec."""


@dataclass(frozen=True)
class LabFault:
    """A fault on an emulated host.

    ``on``: the kernel on which it strikes, ``at`` phases of the update there. What is at work on the update is stopped
    then (its control group is frozen), and goes on after a shell ``command`` on the host; without one it hangs until a
    watchdog resets the host, or the power is ``cut``, which ends the host's QEMU. ``words``: of the new kernel's
    command line, ``boot``: of that of the boot default, in which the case begins then; ``before``: a command before it
    is armed. ``refused``: part of the answer to arming. ``kernel`` and ``phase``: those at the end, ``ends`` of both
    VMs there. ``evidence``: a command on the host that must succeed then.
    """

    name: str
    what: str
    kernel: str
    phase: str
    on: str = OLD
    at: tuple[str, ...] = ()
    command: str = ""
    cut: bool = False
    words: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    before: str = ""
    boot: str = ""
    refused: str = ""
    ends: str = MEMORY
    evidence: str = ""


ROWS = (
    LabFault("lab_panic_saved", "the old kernel panics when all VMs are saved", OLD, "failed",
             at=("saved", "kexec"), command=PANIC),
    LabFault("lab_watchdog_new_kernel", "the new kernel hangs before its watchdog's driver is there", OLD, "failed",
             before=HANG, boot=WATCHDOG, options={"watchdog": "require"},
             words="init=/root/kvmfleet-hang initcall_blacklist=esb_driver_init"),
    LabFault("lab_watchdog_resume", "the resume hangs before it brings VMs back, and feeds its watchdog no more", OLD,
             "failed", on=NEW, at=("resuming",), boot=WATCHDOG, options={"watchdog": "require"}),
    LabFault("lab_reset_saved", "the host is reset when all VMs are saved, without a sync", OLD, "failed",
             at=("saved", "kexec"), command=RESET),
    LabFault("lab_power_cut_copying", "power cut while memory is copied and the guests run", OLD, "failed",
             at=("copying",), cut=True, ends=ENDED),
    LabFault("lab_power_cut_saved", "power cut when all VMs are saved", OLD, "failed",
             at=("saved", "kexec"), cut=True),
    LabFault("lab_new_kernel_panics", "the new kernel panics", OLD, "failed", words="panic=3 init=/bin/false"),
    LabFault("lab_panic_in_resume", "the new kernel panics before it brings VMs back", OLD, "failed",
             on=NEW, at=("resuming",), command=PANIC),
    LabFault("lab_power_cut_in_resume", "power cut before VMs are brought back", OLD, "failed",
             on=NEW, at=("resuming",), cut=True),
    LabFault("lab_crash_kernel", "the new kernel panics into a crash kernel, with its command line", OLD, "failed",
             on=NEW, at=("resuming",), command=CRASH, words="crashkernel=384M",
             evidence="grep -qx 'release=NEW crash=yes phase=resuming qemus=0 resumed=0' /var/lib/kvmfleet-lab/crash"),
    LabFault("lab_disk_full", "the disk is filled while VFs are unplugged", SAME, "aborted",
             at=("unplugging",), command=FILL),
    LabFault("lab_run_killed", "the run is killed when all VMs are saved, and systemd undoes it", SAME, "aborted",
             at=("saved",), command=f"systemctl kill --signal=KILL {RUN}"),
    LabFault("lab_kexec_unloaded", "somebody unloads the new kernel when all VMs are saved", SAME, "aborted",
             at=("saved",), command=UNLOAD),
    LabFault("lab_resume_killed", "the resume is killed, and systemd's next unit finishes it", NEW, "done",
             on=NEW, at=("restoring",), command=f"systemctl kill --signal=KILL {RESUME}"),
    LabFault("lab_nothing", "no fault: the update goes through", NEW, "done"),
    LabFault("lab_load_disabled", "kernel.kexec_load_disabled is set", SAME, "",
             before="sysctl -qw kernel.kexec_load_disabled=1", refused="kernel.kexec_load_disabled is 1"),
    LabFault("lab_locked_down", "the running kernel is locked down, the new one is not signed", SAME, "",
             before="echo integrity >/sys/kernel/security/lockdown", refused="the running kernel is locked down"),
)  # fmt: skip
"""Those after which a host must be reset are the last."""
