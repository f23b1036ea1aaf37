# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for a PF with thousands of VFs.

Lists longer than a page, many buses, and removing all VFs at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from errno import E2BIG, EBUSY, EEXIST, ENODEV
from functools import partial

import many_vfs
from cases_races import RESCAN
from harness import DEVICES, Pf, SkippedError, case, require, wait_for
from kvmfleet_sriov._model import vf_ids

PAGE = 4096
VFS = many_vfs.VFS
BUSES = "/sys/class/pci_bus"
BUSY = f"/sys/module/{many_vfs.NAME}/parameters/busy"


def by_lists(pf: Pf, file: str, ids: Iterable[int]) -> int:
    """Write ids in lists, as the engine does; return their number."""
    lists = vf_ids.chunks(ids)
    for part in lists:
        pf.ok(file, vf_ids.compress(part))
    return len(lists)


def text_of(ids: Iterable[int]) -> str:
    """The kernel's text of ids without neighbours."""
    return ",".join(map(str, sorted(ids)))


def in_pieces(pf: Pf, size: int) -> Iterator[bytes]:
    """The text of `sriov_scan_vf_id`, by reads of ``size`` bytes."""
    handle = os.open(pf.files.root + f"{pf.path}/sriov_scan_vf_id", os.O_RDONLY)
    try:
        yield from iter(partial(os.read, handle, size), b"")
    finally:
        os.close(handle)


def in_domain(pf: Pf, folder: str) -> list[str]:
    """Names in a folder that are of the PF's domain."""
    return [name for name in pf.files.names(folder) if name.startswith(pf.address.split(":")[0] + ":")]


def buses(pf: Pf) -> set[int]:
    """Numbers of the buses in the PF's domain."""
    return {int(name.split(":")[1], 16) for name in in_domain(pf, BUSES)}


def buses_of(pf: Pf, numbers: Iterable[int]) -> list[int]:
    """The bus of each of these VFs."""
    return [int(address.split(":")[1], 16) for address in pf.addresses(numbers)]


def neighbour(pf: Pf) -> Pf:
    """The module's other PF, which follows this one's VFs.

    Its VF 0 comes right after the last VF of this one; SR-IOV on, nothing present.
    """
    if not pf.others:
        raise SkippedError("needs a second PF of the module")
    other = Pf(pf.files, pf.others[0], pf.real)
    other.reset()
    other.ok("sriov_drivers_autoprobe", 0)
    other.ok("sriov_numvfs_no_scan", other.total)
    pf.undo.append(other.reset)
    return other


@case(vfs=VFS, real_only=True)
def case_many_alternate_ids(pf: Pf) -> None:
    """Every other id, in lists below a page.

    The list that reads back is exact, and longer than a page in any pieces. Then those between them are added, and the
    first ones removed; the rest goes by disabling.
    """
    even, odd = set(range(0, pf.total, 2)), set(range(1, pf.total, 2))
    pf.ok("sriov_numvfs_no_scan", pf.total)
    pf.refused("sriov_scan_vf_id", text_of(even), E2BIG)
    require(by_lists(pf, "sriov_scan_vf_id", even) > 1, "one list was enough")
    pf.is_state(pf.total, even)
    text = pf.read("sriov_scan_vf_id")
    require(text == text_of(even), f"reads {len(text)} bytes that are not the ids in order")
    require(len(text) > 2 * PAGE, f"{len(text)} bytes are not enough of a test")
    for size in (7, 1021, PAGE - 1, PAGE, PAGE + 1, 16 * PAGE):
        require(b"".join(in_pieces(pf, size)).decode() == text + "\n", f"reads otherwise in pieces of {size}")
    by_lists(pf, "sriov_scan_vf_id", odd)
    pf.is_state(pf.total, even | odd)
    require(pf.read("sriov_scan_vf_id") == f"0-{pf.total - 1}", "all of them are not one range")
    by_lists(pf, "sriov_remove_vf_id", even)
    pf.is_state(pf.total, odd)
    pf.ok("sriov_numvfs_no_scan", 0)
    pf.is_state(0, ())


@case(vfs=VFS, real_only=True)
def case_many_by_short_lists(pf: Pf) -> None:
    """Thousands of VFs by short lists: a stride, and `all`.

    A stride adds 2,048, sriov_numvfs the rest; `all` removes 4,096, and 0 to sriov_numvfs ends it.
    """
    pf.ok("sriov_numvfs_no_scan", pf.total)
    pf.ok("sriov_scan_vf_id", f"0-{pf.total - 1}:2/4")
    pf.is_state(pf.total, (number for number in range(pf.total) if number % 4 < 2))
    pf.ok("sriov_numvfs", pf.total)
    pf.is_state(pf.total, range(pf.total))
    pf.ok("sriov_remove_vf_id", "all")
    pf.is_state(pf.total, ())
    pf.ok("sriov_numvfs", 0)
    pf.is_state(0, ())


@case(vfs=VFS, real_only=True)
def case_many_lists_are_all_or_nothing(pf: Pf) -> None:
    """One wrong id in thousands: nothing added, or removed.

    The id is present, absent or not enabled.
    """
    pf.ok("sriov_numvfs_no_scan", pf.total)
    last = pf.total - 1
    pf.ok("sriov_scan_vf_id", last)
    pf.refused("sriov_scan_vf_id", f"0-{last}", EEXIST)
    pf.refused("sriov_scan_vf_id", f"0-{last + 1}", ENODEV)
    pf.refused("sriov_remove_vf_id", f"{last - 1}-{last}", ENODEV)
    pf.is_state(pf.total, (last,))


@case(vfs=VFS, real_only=True)
def case_many_across_buses(pf: Pf) -> None:
    """The last VF of each bus and the first of the next.

    Buses come with their first VF and go with their last.
    """
    pf.ok("sriov_numvfs_no_scan", pf.total)
    before = buses(pf)
    where = buses_of(pf, range(pf.total))
    firsts = [number for number in range(1, pf.total) if where[number] != where[number - 1]]
    require(len(firsts) >= pf.total >> 8, f"VFs are on {len(firsts) + 1} buses only")
    edges = {*firsts, *(number - 1 for number in firsts)}
    pf.ok("sriov_scan_vf_id", vf_ids.compress(edges))
    pf.is_state(pf.total, edges)
    require(buses(pf) == before | {where[number] for number in edges}, f"the buses are {sorted(buses(pf))}")
    alone = firsts[len(firsts) // 2]
    pf.ok("sriov_remove_vf_id", vf_ids.compress(edges - {alone}))
    pf.is_state(pf.total, (alone,))
    require(buses(pf) == before | {where[alone]}, f"the buses are {sorted(buses(pf))}")
    pf.ok("sriov_remove_vf_id", alone)
    require(buses(pf) == before, f"the buses are {sorted(buses(pf))}")


@case(vfs=VFS, real_only=True)
def case_many_pfs_share_a_bus(pf: Pf) -> None:
    """VFs of two PFs on one bus.

    Each PF lists its own, and removes only its own.
    """
    other = neighbour(pf)
    pf.ok("sriov_numvfs_no_scan", pf.total)
    last = pf.total - 1
    require(buses_of(pf, (last,)) == buses_of(other, (0,)), f"{pf.vf(last)} and {other.vf(0)} are on different buses")
    pf.ok("sriov_scan_vf_id", f"{last - 1}-{last}")
    other.ok("sriov_scan_vf_id", "0-1")
    pf.is_state(pf.total, (last - 1, last))
    other.is_state(other.total, (0, 1))
    pf.ok("sriov_remove_vf_id", last)
    other.is_state(other.total, (0, 1))
    pf.ok("sriov_numvfs_no_scan", 0)
    other.is_state(other.total, (0, 1))


@case(vfs=VFS, real_only=True)
def case_many_stay_when_the_driver_refuses(pf: Pf) -> None:
    """A PF driver that refuses to disable its VFs.

    Its errno is returned by either file, and those present are present again.
    """
    present = {0, 1, pf.total - 1}
    pf.ok("sriov_numvfs_no_scan", pf.total)
    pf.ok("sriov_scan_vf_id", text_of(present))
    pf.undo.append(partial(pf.files.write, BUSY, "N"))
    pf.files.write(BUSY, "Y")
    for file in ("sriov_numvfs_no_scan", "sriov_numvfs"):
        pf.refused(file, 0, EBUSY)
        pf.is_state(pf.total, present)
    pf.files.write(BUSY, "N")
    pf.ok("sriov_numvfs_no_scan", 0)
    pf.is_state(0, ())


@case(interfaces=("stock",), vfs=VFS)
def case_many_by_the_stock_file(pf: Pf) -> None:
    """All VFs enabled, added and removed by sriov_numvfs."""
    pf.ok("sriov_numvfs", pf.total)
    pf.is_state(pf.total, range(pf.total))
    pf.ok("sriov_numvfs", 0)
    pf.is_state(0, ())


@case(vfs=VFS, real_only=True)
def case_many_go_with_their_pf(pf: Pf) -> None:
    """A PF removed with its VFs and their buses.

    They were added by `all`; after a rescan it starts anew.
    """
    other = neighbour(pf)
    other.ok("sriov_scan_vf_id", 0)
    pf.ok("sriov_numvfs_no_scan", pf.total)
    pf.ok("sriov_scan_vf_id", "all")
    pf.is_state(pf.total, range(pf.total))
    pf.ok("remove", 1)
    functions, left = in_domain(pf, DEVICES), buses(pf)
    pf.files.write(RESCAN, "1")
    wait_for(lambda: pf.driver == many_vfs.NAME, f"{pf.address} bound after a rescan")
    require(functions == [other.address, other.vf(0)], f"{len(functions)} functions stayed: {functions[:5]}")
    require(left == {0, *buses_of(other, (0,))}, f"the buses that stayed are {sorted(left)}")
    pf.ok("sriov_drivers_autoprobe", 0)
    pf.is_state(0, ())
