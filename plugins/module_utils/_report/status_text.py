# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of ``sriovctl status``.

A line a PF, and its VFs on request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .._model.vf_ids import MAX_VFS, compress, parse
from .terminal import BOLD, RED, YELLOW, Paint, plain, table

if TYPE_CHECKING:
    from .._model.property_row import Property

_Facts = dict[str, Any]
"""A PF or a VF as `info.gather` returns it."""

WIDEST = 24
"""Greatest width of a list of VF ids, in characters.

`sriovctl status --json` has all of it.
"""


def status_lines(status: dict[str, Any], *, vfs: bool = False, paint: Paint = plain) -> list[str]:
    """Text of what `status.read` returns.

    With ``vfs``, those that differ in nothing but their names share a line.
    """
    pfs = status["pfs"]
    if not pfs:
        return [paint("This host has no PF that supports SR-IOV.", YELLOW), *_notes(status)]
    readable = [pf for pf in pfs if not pf.keys() & {"blocked", "unreadable"}]
    rows = table([head for head, _cell in _PF_COLUMNS], ([cell(pf) for _head, cell in _PF_COLUMNS] for pf in readable))
    lines = [paint(rows[0], BOLD)] if readable else []
    for row, pf in zip(rows[1:], readable):
        lines.append(paint(row, YELLOW) if pf.get("drift_steps") else row)
        if vfs and (members := _vfs_of(pf)):
            lines += table([head for head, _of_row, _cell in _VF_COLUMNS], _vf_rows(members), "    ")
    lines += [paint(f"{pf['pf']}  blocked: {pf['blocked']}", RED) for pf in pfs if "blocked" in pf]
    lines += [paint(f"{pf['pf']}  cannot be read: {pf['unreadable']}", RED) for pf in pfs if "unreadable" in pf]
    return [*lines, *(paint(note, YELLOW) for note in _notes(status))]


def _notes(status: dict[str, Any]) -> list[str]:
    unread = [f"PF {pf['pf']}: {text}" for pf in status["pfs"] for text in pf.get("unread", ())]
    lacks = [f"Missing: {text}" for text in status.get("lacks", ())]
    return [*lacks, *(f"Note: {note}" for note in (*status["notes"], *unread))]


def _bound(pf: _Facts) -> str:
    unbound = len(parse(pf["unbound_vfs"], MAX_VFS))
    drivers = {**pf["vf_drivers"], **({"none": unbound} if unbound else {})}
    return ", ".join(f"{driver} {number}" for driver, number in drivers.items())


def _drift(pf: _Facts) -> str:
    steps = pf.get("drift_steps")
    if steps is None:
        return {None: "", False: "-", True: "unknown"}[pf.get("declared")]
    return f"{steps} step{'s' if steps > 1 else ''}" if steps else "none"


def _shortened(ids: str) -> str:
    """A list of ids, or its beginning and their number."""
    if len(ids) <= WIDEST:
        return ids
    number = f",.. ({len(parse(ids, MAX_VFS))})"
    return ids[: WIDEST - len(number) + 1].rpartition(",")[0] + number


def _vfs_of(pf: _Facts) -> list[_Facts]:
    """VFs of a PF; of absent ones perhaps only the id.

    MSI-X vectors are left out where the PF cannot share them out.
    """
    known = {vf["id"]: vf if pf["total_msix"] else {**vf, "msix_vectors": None} for vf in pf["vfs"]}
    absent = parse(pf["absent_vfs"], MAX_VFS)
    return [known.get(vf_id) or {"id": vf_id, "present": False} for vf_id in sorted(known.keys() | absent)]


def _vf_rows(vfs: Sequence[_Facts]) -> list[list[str]]:
    """Rows of VFs; those that are alike share one."""
    alike: dict[tuple[str, ...], list[_Facts]] = {}
    for vf in vfs:
        alike.setdefault(tuple(cell([vf]) for _head, of_row, cell in _VF_COLUMNS if not of_row), []).append(vf)
    return [
        [cell(members if of_row else members[:1]) for _head, of_row, cell in _VF_COLUMNS] for members in alike.values()
    ]


def _ids(vfs: Sequence[_Facts]) -> str:
    ids = _shortened(compress(vf["id"] for vf in vfs))
    return ids + (f" ({len(vfs)})" if len(vfs) > 1 and ".." not in ids else "")


def _ends(vfs: Sequence[_Facts], name: str) -> str:
    """The only name among ``vfs``, or the first and the last one."""
    found = [vf[name] for vf in vfs if vf.get(name)]
    return found[0] if len(found) == 1 else f"{found[0]} .. {found[-1]}" if found else ""


def _driver(vf: _Facts) -> str:
    return vf.get("driver") or ("-" if vf["present"] else "")


def _rates(given: _Facts) -> str:
    low, high = given.get("min_tx_rate") or 0, given.get("max_tx_rate") or 0
    return f"{low}..{high or 'max'}" if low or high else ""


def _flags(vf: _Facts) -> Iterator[str]:
    yield _of_rows("FLAGS")(vf.get("properties", {}))
    if vf.get("driver_override") not in (None, vf.get("driver")):
        yield f"override {vf['driver_override']}"


def _of_rows(column: str) -> Callable[[_Facts], str]:
    """Content of a column, from the property table's rows that name it.

    For example ``100 qos 3 802.1ad``.
    """

    def shown(given: _Facts) -> str:
        from .._model.property_table import VF_PROPERTIES  # late: most calls show no VFs

        cells = (_cell(row, given) for row in VF_PROPERTIES if row.column == column)
        return " ".join(filter(None, cells))

    return shown


def _cell(row: Property, given: _Facts) -> str:
    """Text of a property; empty for its default, and for false."""
    value = given.get(row.name)
    if not value or value == row.default or (row.needs and not given.get(row.needs)):
        return ""
    return row.name if value is True else (row.label or f"{row.name} {{}}").format(value)


_PF_COLUMNS: tuple[tuple[str, Callable[[_Facts], str]], ...] = (
    ("PF", lambda pf: pf["pf"]),
    ("NETDEV", lambda pf: pf["netdev"] or "-"),
    ("DRIVER", lambda pf: pf["driver"] or "-"),
    ("FIRMWARE", lambda pf: pf["firmware_version"] or ""),
    ("NUMA", lambda pf: "" if pf["numa_node"] == -1 else str(pf["numa_node"])),
    ("ENABLED", lambda pf: f"{pf['hardware_vfs']}/{pf['total_vfs']}"),
    ("PRESENT", lambda pf: _shortened(pf["present_vfs"])),
    ("BOUND", _bound),
    ("HELD", lambda pf: "" if pf["held_vfs"] == "none" else _shortened(pf["held_vfs"])),
    ("AUTOPROBE", lambda pf: "" if pf["drivers_autoprobe"] else "off"),
    ("ESWITCH", lambda pf: pf["eswitch_mode"] or ""),
    ("INTERFACE", lambda pf: pf["interface"]),
    ("DRIFT", _drift),
)
"""Columns of PFs: head and content."""


def _each(cell: Callable[[_Facts], str]) -> tuple[bool, Callable[[Sequence[_Facts]], str]]:
    """A column of what all VFs of a row have in common."""
    return False, lambda vfs: cell(vfs[0])


def _property(cell: Callable[[_Facts], str]) -> tuple[bool, Callable[[Sequence[_Facts]], str]]:
    """A column of a reported VF property, equal within a row."""
    return _each(lambda vf: cell(vf.get("properties", {})))


_VF_COLUMNS: tuple[tuple[str, bool, Callable[[Sequence[_Facts]], str]], ...] = (
    ("VF", True, _ids),
    ("ADDRESS", True, lambda vfs: _ends(vfs, "address")),
    ("STATE", *_each(lambda vf: "present" if vf["present"] else "absent")),
    ("DRIVER", *_each(_driver)),
    ("NETDEV", True, lambda vfs: _ends(vfs, "netdev")),
    ("HELD BY", *_each(lambda vf: vf.get("held_by", ""))),
    ("MAC", *_property(_of_rows("MAC"))),
    ("VLAN", *_property(_of_rows("VLAN"))),
    ("FLAGS", *_each(lambda vf: " ".join(filter(None, _flags(vf))))),
    ("TX MBIT/S", *_property(_rates)),
    ("MSI-X", *_each(lambda vf: str(vf.get("msix_vectors") or ""))),
)
"""Columns of VFs: head, scope and content.

Where the scope is true, the content is of all VFs of a row, otherwise of the first one.
"""
