"""Rows of the faults that need a real kernel or systemd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OLD, NEW, SAME = "old", "new", "same"
"""Kernels: the boot default, the update's, the one that ran."""
PANIC = "echo 3 >/proc/sys/kernel/panic; echo c >/proc/sysrq-trigger"
RESET = "echo b >/proc/sysrq-trigger"
FILL = "cat /dev/zero >/var/lib/kvmfleet-lab/fill || true"
RUN, RESUME = "kvmfleet-live-update.service", "kvmfleet-sriov-resume.service"


@dataclass(frozen=True)
class LabFault:
    """A fault on an emulated host.

    ``on``: the kernel on which it strikes, ``at`` phases of the update there, what is done then: a shell ``command``
    on the host, or a power ``cut``, which ends the host's QEMU. ``words``: of the new kernel's command line. ``kernel``
    and ``phase``: those at the end, when both VMs run with their memory.
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


ROWS = (
    LabFault("lab_nothing", "no fault: the update goes through", NEW, "done"),
    LabFault("lab_run_killed", "the run is killed when all VMs are saved, and systemd undoes it", SAME, "aborted",
             at=("saved",), command=f"systemctl kill --signal=KILL {RUN}"),
    LabFault("lab_disk_full", "the disk is filled while VFs are unplugged", SAME, "aborted",
             at=("unplugging",), command=FILL),
    LabFault("lab_panic_saved", "the old kernel panics when all VMs are saved", OLD, "failed",
             at=("saved", "kexec"), command=PANIC),
    LabFault("lab_reset_saved", "the host is reset when all VMs are saved, without a sync", OLD, "failed",
             at=("saved", "kexec"), command=RESET),
    LabFault("lab_power_cut_saved", "power cut when all VMs are saved", OLD, "failed",
             at=("saved", "kexec"), cut=True),
    LabFault("lab_new_kernel_panics", "the new kernel panics", OLD, "failed", words="panic=3 init=/bin/false"),
    LabFault("lab_panic_in_resume", "the new kernel panics before it brings VMs back", OLD, "failed",
             on=NEW, at=("resuming",), command=PANIC),
    LabFault("lab_power_cut_in_resume", "power cut before VMs are brought back", OLD, "failed",
             on=NEW, at=("resuming",), cut=True),
    LabFault("lab_resume_killed", "the resume is killed, and systemd's next unit finishes it", NEW, "done",
             on=NEW, at=("restoring",), command=f"systemctl kill --signal=KILL {RESUME}"),
)  # fmt: skip
