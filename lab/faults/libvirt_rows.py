"""Rows of live updates of a host with a domain of libvirt's.

Beside it is a VM of nobody's, so both backends are at work in each.
"""

from __future__ import annotations

from dataclasses import dataclass

from .rows import FILL, NEW, OLD, PANIC, SAME, LabFault

FLEET = "libvirt"
"""Fleet of these rows."""
ON_OVERLAY = "virsh -q domblklist web1 | grep -q /var/lib/kvmfleet-lab/web1.overlay"
SNAPSHOT = (
    "virsh -q snapshot-create-as web1 --disk-only --no-metadata --diskspec sda,file=/var/lib/kvmfleet-lab/web1.overlay"
)


@dataclass(frozen=True)
class Scenario:
    """A scenario of molecule, run as a row.

    Its guests are kernels, and answer pings through their VFs. ``files``: folders of the repository that it alone
    rests on.
    """

    name: str
    what: str
    files: tuple[str, ...]


LIBVIRT_ROWS: tuple[LabFault | Scenario, ...] = (
    LabFault("libvirt_nothing", "no fault: the update goes through", NEW, "done"),
    LabFault("libvirt_overlay", "a domain whose disk was snapshotted while it ran keeps its overlay", NEW, "done",
             before=SNAPSHOT, evidence=ON_OVERLAY),
    LabFault("libvirt_disk_full", "the disk is filled while VFs are unplugged", SAME, "aborted",
             at=("unplugging",), command=FILL),
    LabFault("libvirt_panic_in_resume", "the new kernel panics before it brings VMs back", OLD, "failed",
             on=NEW, at=("resuming",), command=PANIC),
    LabFault("libvirt_power_cut_saved", "power cut when all VMs are saved", OLD, "failed",
             at=("saved", "kexec"), cut=True),
    Scenario("libvirt", "molecule's scenario: the playbook, and pings over the VF after it",
             ("molecule/libvirt", "roles/live_update/tasks", "roles/live_update/defaults", "playbooks")),
)  # fmt: skip
