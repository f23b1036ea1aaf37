# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has a VF in use through VFIO: the processes that hold its group or device node open."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ._errors import KernelError, RefusedError
from ._interface import DEVICES
from ._plan import HostPlan
from ._state import PfState
from ._sysfs import Sysfs

_GONE = (errno.ENOENT, errno.ESRCH)
# udev opens a node that has just appeared, or a symbolic link's target, for a moment while it applies its rules.
_PASSING = ("(udev-worker)", "systemd-udevd")


@dataclass(frozen=True)
class Holder:
    """A process, and the VM it runs when it is a QEMU."""

    pid: int
    command: str
    vm: str | None = None

    def __str__(self) -> str:
        process = f"process {self.pid} ({self.command})"
        return f"VM {self.vm}, {process}" if self.vm else process


def refuse_held(sysfs: Sysfs, plan: HostPlan) -> None:
    """Raise `RefusedError` naming the holders when steps of the plan would take held VFs away and it is not forced.

    Reads /proc only when there is such a VF bound to VFIO.
    """
    if plan.force:
        return
    holders = read_holders(sysfs, {one.found.address: (one.found, one.takes) for one in plan.plans})
    if holders:
        rows = sorted((pf, vf_id, str(holder)) for (pf, vf_id), holder in holders.items())
        named = "; ".join(f"VF {vf_id} of PF {pf} by {holder}" for pf, vf_id, holder in rows)
        raise RefusedError(f"VFs are in use: {named}; stop the user first, leave the VF as it is, or force: true")


def read_holders(sysfs: Sysfs, vfs: Mapping[str, tuple[PfState, Iterable[int]]]) -> dict[tuple[str, int], Holder]:
    """One holder of each held VF, by PF address and VF id; VFs not bound to a VFIO driver cannot be held this way."""
    nodes: dict[str, tuple[str, int]] = {}
    for address, (pf, ids) in vfs.items():
        for vf_id in ids:
            vf = pf.vfs.get(vf_id)
            if vf and vf.driver and "vfio" in vf.driver:
                nodes.update(dict.fromkeys(_nodes(sysfs, vf.address, vf.iommu_group), (address, vf_id)))
    if not nodes:
        return {}
    found = [(nodes[node], _holder(sysfs, pid)) for pid, node in _open_files(sysfs) if node in nodes]
    return {vf: holder for vf, holder in found if holder.command not in _PASSING}


def _nodes(sysfs: Sysfs, address: str, group: str | None) -> list[str]:
    """Device nodes of a VF: its group (with or without an IOMMU) and its character device (drivers/vfio, iommufd)."""
    cdevs = [f"/dev/vfio/devices/{name}" for name in sysfs.names(f"{DEVICES}/{address}/vfio-dev")]
    return cdevs + ([f"/dev/vfio/{group}", f"/dev/vfio/noiommu-{group}"] if group else [])


def _open_files(sysfs: Sysfs) -> Iterator[tuple[int, str]]:
    """Process id and target of every open file; processes and files that go away meanwhile are left out."""
    for pid in filter(str.isdigit, sysfs.names("/proc")):
        try:
            for number in sysfs.names(f"/proc/{pid}/fd"):
                target = sysfs.target(f"/proc/{pid}/fd/{number}")
                if target is not None:
                    yield int(pid), target
        except KernelError as error:
            if error.errno not in _GONE:
                raise


def _holder(sysfs: Sysfs, pid: int) -> Holder:
    try:
        arguments = sysfs.read(f"/proc/{pid}/cmdline").split("\0")
        command = sysfs.read(f"/proc/{pid}/comm")
    except KernelError:
        return Holder(pid, "ended meanwhile")
    parts = dict(zip(arguments, arguments[1:])).get("-name", "").split(",")
    named = [part.partition("=")[2] or part for part in parts if part.startswith("guest=") or "=" not in part]
    return Holder(pid, command, named[0] if named and named[0] else None)
