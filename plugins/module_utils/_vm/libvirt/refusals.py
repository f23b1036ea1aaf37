# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons against saving a domain, each with its fix. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ..._tools.domain_disks import Disk
from ..._tools.virsh import RUNNING
from ..._tools.whole_domain import PCI, HostDevice
from ..record import IN_PLACE, MIGRATE
from ..vm_facts import VmFacts
from . import save_format
from .facts import LibvirtFacts, Refused

ROOM = 64 << 20
"""Bytes of an image beside the domain's memory: devices, XML."""
ELSE = "detach it (virsh detach-device), migrate the domain away, or shut it down first"
UNSAVED = {
    ("filesystem", "mount"): "a filesystem device", ("shmem", ""): "a shmem device",
    ("interface", "vdpa"): "an interface of type 'vdpa'",
    ("interface", "vhostuser"): "an interface of type 'vhostuser'",
}  # fmt: skip
"""Devices whose state is partly another program's, by tag and type.

QEMU refuses to save most of them, some only once they are used.
"""


def problems(vm: VmFacts, strategy: str = IN_PLACE) -> Iterator[tuple[str, str]]:
    """(problem, fix) for each reason against updating a domain so.

    One that is shut down gets its devices from libvirt at its start; what else hinders a migration, libvirt says.
    """
    if isinstance(vm.detail, Refused):
        yield vm.detail.problem, vm.detail.fix
        return
    facts = LibvirtFacts.of(vm)
    if not vm.pid:
        yield "libvirt's state of it below /run/libvirt/qemu does not say its process", "restart libvirt's daemon"
    yield from _domain(facts)
    if strategy == MIGRATE:
        yield from (reason for device in facts.domain.host_devices for reason in _device(device))
        return
    if facts.saved:
        yield (
            f"{save_format.path(facts.domain.name)} is there already, which its next start would load",
            f"virsh managedsave-remove {facts.domain.uuid}",
        )
    for disk in facts.domain.disks:
        yield from _disk(disk, facts.domain.uuid)
    for name in facts.replaced:
        yield f"its image {name} was replaced by another file since its start", "put the file back that it has open"
    if strategy == IN_PLACE:
        yield from _unsaveable(facts)


def _unsaveable(facts: LibvirtFacts) -> Iterator[tuple[str, str]]:
    if facts.room < facts.need:
        yield (
            f"{save_format.FOLDER} has {facts.room >> 20} MiB free, all saves take up to {facts.need >> 20} MiB",
            "mount a larger file system there",
        )
    for device in facts.domain.host_devices:
        yield from _device(device)
    for tag, kind in sorted(set(facts.domain.devices) & UNSAVED.keys()):
        yield f"it has {UNSAVED[tag, kind]}, which QEMU does not save", ELSE
    for reason in facts.blocked:
        yield f"QEMU does not save it: {reason}", ELSE


def _domain(facts: LibvirtFacts) -> Iterator[tuple[str, str]]:
    uuid = facts.domain.uuid
    if facts.info.state != RUNNING:
        yield f"it is {facts.info.state}, not running", f"let it run (virsh resume {uuid}), or shut it down"


def room(memory: int) -> int:
    """Bytes that an image of so much memory takes, at most."""
    return memory + ROOM


def _device(device: HostDevice) -> Iterator[tuple[str, str]]:
    if device.kind != PCI or device.element == "disk":
        yield f"it has a {device.element} of type '{device.kind}', whose state cannot be saved", ELSE
    elif not device.alias:
        yield f"its device {device.address} has no alias, by which libvirt detaches it", ELSE


def _disk(disk: Disk, uuid: str) -> Iterator[tuple[str, str]]:
    name = f"disk {disk.target}"
    if disk.job:
        yield f"a block job runs on its {name}", f"wait for it, or end it: virsh blockjob {uuid} {disk.target} --abort"
    if disk.transient:
        yield f"its {name} is transient: what the guest wrote would be lost", "use an overlay without <transient/>"
    if not disk.known:
        yield f"libvirt does not say on which images its {name} rests", "give the chain in its XML as <backingStore>"
