# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel interfaces for the VFs of a PF: detection, abilities, writes.

A new interface is a subclass here and a place in `INTERFACES`; planning, undo and the live update ask it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from . import vf_ids
from .paths import DEVICES

if TYPE_CHECKING:
    from .actions import Write

NUMVFS = "sriov_numvfs"
"""The file that every kernel with SR-IOV has (drivers/pci/iov.c)."""


class Abilities(NamedTuple):
    """Abilities of userspace over the VFs of one PF.

    ``enable_only``: enable in hardware without adding. ``choose``: add chosen ids. ``lists``: add many with one write.
    ``remove``: remove single VFs. ``first_always``: VF 0 is added when VFs are enabled, desired or not. ``one_queue``:
    a write that waits, for the holder of a VF or for a driver, may make those to other PFs wait as well.
    """

    enable_only: bool = False
    choose: bool = False
    lists: bool = False
    remove: bool = False
    first_always: bool = False
    one_queue: bool = False


class KernelInterface:
    """The stock interface, sriov_numvfs alone, and the base of others.

    As many VFs are present as are enabled; another number requires disabling all VFs first. The ``files`` of a PF's
    folder identify it, never the kernel's version; so do ``symbols`` in the System.map of a kernel that does not run.
    ``enabled_file`` shows how many are enabled in hardware. Verbs take the PCI address of a PF and return writes. The
    documentation of modules and guides says ``doc`` of it.
    """

    name = "stock"
    doc = "of every other kernel; all enabled VFs are present"
    files: frozenset[str] = frozenset()
    enabled_file = NUMVFS
    abilities = Abilities(one_queue=True)

    @property
    def symbols(self) -> frozenset[str]:
        """Parts of kernel symbols: functions of sysfs files are named after them."""
        return self.files | {NUMVFS}

    def present_after_enabling(self, desired: frozenset[int], enabled: int) -> frozenset[int]:
        """VFs present after enabling ``enabled`` ones, nearest to ``desired``.

        Never fewer than the desired ones.
        """
        return frozenset(range(enabled))

    def present_after_adding(self, present: frozenset[int], desired: frozenset[int]) -> frozenset[int] | None:
        """VFs present without disabling any; None where none can be added."""
        return present if desired <= present else None

    def added_by_enabling(self, desired: frozenset[int]) -> frozenset[int]:
        """Those of the VFs ``desired`` that enabling itself adds."""
        return desired

    def added_with(self, ids: frozenset[int], missing: frozenset[int]) -> frozenset[int]:
        """``ids`` and those ``missing`` VFs that must be added before them."""
        return ids

    def batches(self, ids: Iterable[int]) -> list[frozenset[int]]:
        """``ids``, cut into the sets that one step adds or removes."""
        return [frozenset({vf_id}) for vf_id in sorted(ids)]

    def enable(self, pf: str, number: int) -> Write:
        """Enable ``number`` VFs, from 0, without adding them where possible."""
        return _write(pf, NUMVFS, str(number), vfs=number)

    def disable(self, pf: str, number: int) -> Write:
        """Disable all ``number`` VFs, which removes them."""
        return _write(pf, NUMVFS, "0", vfs=number, waits=True)

    def add(self, pf: str, ids: frozenset[int]) -> tuple[Write, ...]:
        """Add one of the `batches` of VFs."""
        raise NotImplementedError(f"the kernel's interface '{self.name}' adds no VFs but by enabling")

    def remove(self, pf: str, ids: frozenset[int]) -> Write:
        """Remove VFs that no driver is bound to."""
        raise NotImplementedError(f"the kernel's interface '{self.name}' removes no single VFs")


class VfIdNarrow(KernelInterface):
    """The interface of the 2022 RFC "pci/sriov: support VFs dynamic addition"."""

    name = "vf-id-narrow"
    doc = "of an earlier form of the series; VFs come one by one, VF 0 always, and go only when all are disabled first"
    files = frozenset({"sriov_numvfs_no_scan", "sriov_scan_vf_id"})
    abilities = Abilities(enable_only=True, choose=True, first_always=True, one_queue=True)

    def present_after_enabling(self, desired: frozenset[int], enabled: int) -> frozenset[int]:
        return desired | frozenset({0} if enabled else ())

    def present_after_adding(self, present: frozenset[int], desired: frozenset[int]) -> frozenset[int] | None:
        return desired | present

    def added_by_enabling(self, desired: frozenset[int]) -> frozenset[int]:
        return frozenset({0})

    def enable(self, pf: str, number: int) -> Write:
        return _write(pf, "sriov_numvfs_no_scan", str(number), vfs=number)

    def add(self, pf: str, ids: frozenset[int]) -> tuple[Write, ...]:
        return tuple(_write(pf, "sriov_scan_vf_id", str(vf_id)) for vf_id in sorted(ids))


class VfId(VfIdNarrow):
    """The interface of the series, with lists of ids and removal."""

    name = "vf-id"
    doc = "of this collection's series; any VFs come and go, one by one"
    files = VfIdNarrow.files | {"sriov_remove_vf_id"}
    abilities = Abilities(enable_only=True, choose=True, lists=True, remove=True)

    def present_after_enabling(self, desired: frozenset[int], enabled: int) -> frozenset[int]:
        return desired

    def present_after_adding(self, present: frozenset[int], desired: frozenset[int]) -> frozenset[int] | None:
        return desired

    def added_by_enabling(self, desired: frozenset[int]) -> frozenset[int]:
        return frozenset()

    def batches(self, ids: Iterable[int]) -> list[frozenset[int]]:
        return vf_ids.chunks(ids)

    def disable(self, pf: str, number: int) -> Write:
        """Disable all VFs by the series' file.

        It does not block other PFs while the hardware waits.
        """
        return _write(pf, "sriov_numvfs_no_scan", "0", vfs=number, waits=True)

    def add(self, pf: str, ids: frozenset[int]) -> tuple[Write, ...]:
        return (_write(pf, "sriov_scan_vf_id", vf_ids.compress(ids), vfs=len(ids)),)

    def remove(self, pf: str, ids: frozenset[int]) -> Write:
        return _write(pf, "sriov_remove_vf_id", vf_ids.compress(ids), vfs=len(ids), waits=True)


STOCK = KernelInterface()
INTERFACES: dict[str, KernelInterface] = {one.name: one for one in (VfId(), VfIdNarrow(), STOCK)}
"""Interfaces by name, those with more files first."""

CHOICE_FILES = frozenset().union(*(one.files for one in INTERFACES.values()))
"""Files by which VFs may be absent.

A driver that does not support absent VFs answers EOPNOTSUPP to a write.
"""


def of_files(names: Iterable[str]) -> KernelInterface:
    """The interface of a PF whose sysfs folder holds ``names``."""
    have = set(names)
    return next(one for one in INTERFACES.values() if one.files <= have)


def of_symbols(system_map: str) -> KernelInterface | None:
    """The interface of a kernel by the text of its System.map.

    None without a real one (Debian ships a stub).
    """
    return next((one for one in INTERFACES.values() if all(name in system_map for name in one.symbols)), None)


def _write(pf: str, file: str, value: str, *, vfs: int = 1, waits: bool = False) -> Write:
    from .actions import Write  # late: a host that is as declared needs none

    return Write(f"{DEVICES}/{pf}/{file}", value, vfs=vfs, waits=waits)
