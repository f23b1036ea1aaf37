# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Current state of PFs and VFs, from sysfs, as frozen values.

Each file is read at most once per reading.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .._model.errors import BadInputError, KernelError, RefusedError, SriovError
from .._model.kernel_interface import of_files
from .._model.paths import DEVICES, DRIVERS
from .._model.state import FACTS, UNBOUND, PfState, VfState, vf_addresses
from .._model.values import shown, whole
from .._model.vf_ids import MAX_VFS
from .._system import blocked as _blocked
from .._system.read_once import ReadOnce
from .._system.sysfs import Sysfs
from . import netdevs as _netdevs

_NUMBERS = ("sriov_totalvfs", "sriov_drivers_autoprobe", "sriov_offset", "sriov_stride")


def read_pfs(
    sysfs: Sysfs, addresses: Iterable[str] | None = None, *, vfs: bool = True, facts: Iterable[str] = ()
) -> dict[str, PfState]:
    """Read PFs by PCI address; all of the host without ``addresses``.

    Without ``vfs``, no details of their VFs are read. ``facts`` are those of `FACTS` to read.

    Raises `BadInputError` for an address that is no PF, `KernelError` for a file that cannot be read, `RefusedError`
    when a write to one of them is under way.
    """
    if addresses is None:
        sysfs = ReadOnce(sysfs)  # PFs are recognised by files that are read of them as well
    chosen = pf_addresses(sysfs) if addresses is None else list(addresses)
    _blocked.refuse(sysfs, chosen)
    drivers, wanted = frozenset(sysfs.names(DRIVERS)), frozenset(facts)
    pfs: dict[str, PfState] = {}
    for address in chosen:
        files = frozenset(sysfs.names(f"{DEVICES}/{address}"))
        if "sriov_totalvfs" in files:
            pf = _read_pf(sysfs, address, files, wanted)._replace(bus_drivers=drivers)
            pfs[address] = read_vfs(sysfs, pf, pf.present) if vfs else pf
        elif addresses is not None:
            raise BadInputError(_no_pf(sysfs, address, bool(files)))
    return pfs


def read_known(sysfs: Sysfs, facts: Iterable[str] = ()) -> dict[str, PfState]:
    """Read all PFs of the host, without details of their VFs.

    In the order of their addresses as text. Unlike `read_pfs`, it takes PFs that are ``blocked``, with what can be read
    of them without waiting, and those that are ``unreadable``.
    """
    sysfs = ReadOnce(sysfs)
    blocked, addresses, wanted = _blocked.under_way(sysfs), pf_addresses(sysfs), frozenset(facts)
    pfs = _readable(sysfs, [address for address in addresses if address not in blocked], wanted)
    for address in blocked.keys() & set(addresses):
        files = frozenset(sysfs.names(f"{DEVICES}/{address}"))
        pfs[address] = PfState(total=0, enabled=0, blocked=blocked[address], **_names(sysfs, address, files, wanted))
    return {address: pfs[address] for address in addresses if address in pfs}


def _readable(sysfs: Sysfs, addresses: list[str], facts: frozenset[str]) -> dict[str, PfState]:
    try:
        return read_pfs(sysfs, addresses, vfs=False, facts=facts)
    except RefusedError:
        raise
    except SriovError:
        from . import unreadable

        return unreadable.each(
            addresses,
            lambda one: read_pfs(sysfs, [one], vfs=False, facts=facts),
            lambda one: _names(sysfs, one, frozenset(sysfs.names(f"{DEVICES}/{one}")), facts),
        )


def pf_addresses(sysfs: Sysfs) -> list[str]:
    """Sorted PCI addresses of this host's PFs.

    VFs, which come behind their PF, are not examined.
    """
    found: list[str] = []
    vfs: set[str] = set()
    for name in sysfs.names(DEVICES):
        if name not in vfs and sysfs.exists(f"{DEVICES}/{name}/sriov_totalvfs"):
            found.append(name)
            vfs.update(_addresses_of_vfs(sysfs, name))
    return found


def _addresses_of_vfs(sysfs: Sysfs, pf: str) -> list[str]:
    """Addresses of a PF's present VFs.

    These files and the folder are read without the PF's lock (drivers/pci/iov.c).
    """
    folder = f"{DEVICES}/{pf}"
    present = _present(sysfs.names(folder))
    if not present:
        return []
    try:
        offset, stride = _numbers(sysfs, folder, ("sriov_offset", "sriov_stride"))
    except SriovError:
        return []  # they are examined, and are no PFs
    return list(vf_addresses(pf, offset, stride, present).values())


def read_vfs(sysfs: Sysfs, pf: PfState, ids: Iterable[int]) -> PfState:
    """``pf`` with the details of its present VFs ``ids``.

    A VF that went away meanwhile has none.
    """
    links = {vf_id: sysfs.link(f"{DEVICES}/{pf.address}/virtfn{vf_id}") for vf_id in sorted(ids)}
    return pf._replace(vfs={vf_id: _read_vf(sysfs, address) for vf_id, address in links.items() if address})


class BoundDevices(dict[str, "frozenset[str]"]):
    """Devices bound to each driver, listed when first asked for.

    Its folder has their addresses (drivers/base/dd.c, driver_sysfs_add).
    """

    def __init__(self, sysfs: Sysfs) -> None:
        super().__init__()
        self.sysfs = sysfs

    def __missing__(self, driver: str) -> frozenset[str]:
        self[driver] = frozenset(self.sysfs.names(f"{DRIVERS}/{driver}"))
        return self[driver]


def read_bindings(bound: BoundDevices, pf: PfState, wanted: Mapping[int, str | None]) -> dict[int, VfState]:
    """Read what the compliance check needs of present VFs.

    Whether they are bound as ``wanted``, or where that is None, have no driver_override. Drivers' folders show the
    former without reading each VF; only VFs to be unbound may have any driver.
    """
    addresses = vf_addresses(pf.address, pf.offset, pf.stride, pf.present)
    return {vf_id: _read_binding(bound, addresses[vf_id], driver) for vf_id, driver in wanted.items()}


def _read_binding(bound: BoundDevices, address: str, driver: str | None) -> VfState:
    if driver is None:
        return VfState(address, driver_override=_override(bound.sysfs, address))
    if driver == UNBOUND:
        return VfState(address, bound.sysfs.link(f"{DEVICES}/{address}/driver"), _override(bound.sysfs, address))
    return VfState(address, driver if address in bound[driver] else None)


def _present(files: Iterable[str]) -> frozenset[int]:
    """Ids of the present VFs, from the links in a PF's folder."""
    return frozenset([int(name[6:]) for name in files if name[:6] == "virtfn"])


def _read_pf(sysfs: Sysfs, address: str, files: frozenset[str], facts: frozenset[str]) -> PfState:
    interface = of_files(files)
    names = (interface.enabled_file, *_NUMBERS)
    enabled, total, autoprobe, offset, stride = _numbers(sysfs, f"{DEVICES}/{address}", names)
    return PfState(
        total=total,
        enabled=enabled,
        present=_present(files),
        autoprobe=autoprobe == 1,
        interface=interface.name,
        offset=offset,
        stride=stride,
        **_names(sysfs, address, files, facts),
    )


def _names(sysfs: Sysfs, address: str, files: frozenset[str], facts: frozenset[str]) -> dict[str, Any]:
    """Fields of `PfState` that identify a PF.

    Reading them waits for no lock of the PF.
    """
    folder = f"{DEVICES}/{address}"
    netdevs = _interfaces(sysfs, folder, files)
    return {
        "address": address,
        "driver": sysfs.link(f"{folder}/driver") if "driver" in files else None,
        "netdev": netdevs[0] if netdevs else None,
        "netdevs": netdevs,
        "facts": {name: _fact(sysfs, folder, name, files) for name in FACTS if name in facts},
    }


def _interfaces(sysfs: Sysfs, folder: str, files: Collection[str]) -> tuple[str, ...]:
    """Names of a device's interfaces, mostly one in the usual place."""
    usual = sysfs.names(f"{folder}/net") if "net" in files else []
    return tuple(usual) if len(usual) == 1 else _netdevs.names(sysfs, folder, files)


def _fact(sysfs: Sysfs, folder: str, name: str, files: frozenset[str]) -> str | int:
    """Read a fact; a kernel without NUMA has no file for it."""
    if name == "mac":
        return _netdevs.mac(sysfs, folder, files)
    if name == "numa_node":
        return _numbers(sysfs, folder, (name,))[0] if name in files else -1
    return sysfs.read(f"{folder}/{name}")


def _read_vf(sysfs: Sysfs, address: str) -> VfState:
    folder = f"{DEVICES}/{address}"
    files = set(sysfs.names(folder))
    netdevs = _interfaces(sysfs, folder, files)
    return VfState(
        address=address,
        driver=sysfs.link(f"{folder}/driver") if "driver" in files else None,
        driver_override=_override(sysfs, address),
        iommu_group=sysfs.link(f"{folder}/iommu_group") if "iommu_group" in files else None,
        netdev=netdevs[0] if netdevs else None,
    )


def _override(sysfs: Sysfs, address: str) -> str | None:
    """driver_override of a VF; None as well for one that went away."""
    try:
        text = sysfs.read(f"{DEVICES}/{address}/driver_override")
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
        return None
    return None if text in ("", "(null)") else text


def _numbers(sysfs: Sysfs, folder: str, names: Sequence[str]) -> list[int]:
    """Read files with one whole number each."""
    paths, numbers = [f"{folder}/{name}" for name in names], []
    for path, text in zip(paths, sysfs.read_all(paths)):
        try:
            numbers.append(_number(text))
        except ValueError as error:
            raise SriovError(f"{path} holds {shown(text)}, which is {error}") from error
    return numbers


def _number(text: str) -> int:
    """A number of VFs, of which ranges are made, or similar."""
    found = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else whole(text)
    if found is None:
        raise ValueError("not a number")
    if found > MAX_VFS:
        raise ValueError(f"more than {MAX_VFS}")
    return found


def _no_pf(sysfs: Sysfs, address: str, exists: bool) -> str:
    reason = "is a PCI device without SR-IOV" if exists else "is not a PCI device of this host"
    return f"PF {address} {reason}; PFs of this host: {', '.join(pf_addresses(sysfs)) or 'none'}"
