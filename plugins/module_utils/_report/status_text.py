# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sriovctl status`` for people: a line a PF and, where they are asked for, its VFs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .._model.vf_ids import MAX_VFS, compress, parse
from .terminal import BOLD, RED, YELLOW, Paint, plain, table

WIDEST = 24
"""Characters of a list of VF ids; `sriovctl status --json` has all of it."""

_PF_HEAD = (
    "PF", "NETDEV", "DRIVER", "FIRMWARE", "NUMA", "ENABLED", "PRESENT", "BOUND", "HELD", "AUTOPROBE", "ESWITCH",
    "INTERFACE", "DRIFT",
)  # fmt: skip
_VF_HEAD = ("VF", "ADDRESS", "STATE", "DRIVER", "NETDEV", "HELD BY", "MAC", "VLAN", "FLAGS", "TX MBIT/S", "MSI-X")


def status_lines(status: dict[str, Any], *, vfs: bool = False, paint: Paint = plain) -> list[str]:
    """What `_status.look` returns, as text; with ``vfs``, those that differ in nothing but their names share a line.

    Vectors of VFs are shown where the PF can share them out.
    """
    pfs = status["pfs"]
    if not pfs:
        return [paint("This host has no PF that supports SR-IOV.", YELLOW), *_notes(status)]
    readable = [pf for pf in pfs if "blocked" not in pf]
    rows = table(_PF_HEAD, map(_pf_row, readable))
    lines = [paint(rows[0], BOLD)] if readable else []
    for row, pf in zip(rows[1:], readable):
        lines.append(paint(row, YELLOW) if pf.get("drift_steps") else row)
        if vfs and (members := _vfs_of(pf)):
            lines += table(_VF_HEAD, _vf_rows(members, pf["total_msix"] > 0), "    ")
    lines += [paint(f"{pf['pf']}  blocked: {pf['blocked']}", RED) for pf in pfs if "blocked" in pf]
    return [*lines, *(paint(note, YELLOW) for note in _notes(status))]


def _notes(status: dict[str, Any]) -> list[str]:
    unread = [f"PF {pf['pf']}: {text}" for pf in status["pfs"] for text in pf.get("unread", ())]
    return [f"Note: {note}" for note in (*status["notes"], *unread)]


def _pf_row(pf: dict[str, Any]) -> tuple[str, ...]:
    unbound = len(parse(pf["unbound_vfs"], MAX_VFS))
    drivers = {**pf["vf_drivers"], **({"none": unbound} if unbound else {})}
    bound = ", ".join(f"{driver} {number}" for driver, number in drivers.items())
    return (
        pf["pf"], pf["netdev"] or "-", pf["driver"] or "-", pf["firmware_version"] or "",
        "" if pf["numa_node"] == -1 else str(pf["numa_node"]), f"{pf['hardware_vfs']}/{pf['total_vfs']}",
        _shortened(pf["present_vfs"]), bound, "" if pf["held_vfs"] == "none" else _shortened(pf["held_vfs"]),
        "" if pf["drivers_autoprobe"] else "off", pf["eswitch_mode"] or "", pf["interface"], _drift(pf),
    )  # fmt: skip


def _drift(pf: dict[str, Any]) -> str:
    steps = pf.get("drift_steps")
    if steps is None:
        return {None: "", False: "-", True: "unknown"}[pf.get("declared")]
    return f"{steps} step{'s' if steps > 1 else ''}" if steps else "none"


def _shortened(ids: str) -> str:
    """A list of ids, or its beginning and how many they are."""
    if len(ids) <= WIDEST:
        return ids
    number = f",.. ({len(parse(ids, MAX_VFS))})"
    return ids[: WIDEST - len(number) + 1].rpartition(",")[0] + number


def _vfs_of(pf: dict[str, Any]) -> list[dict[str, Any]]:
    """Also those absent ones of which nothing but their number is known."""
    known = {vf["id"]: vf for vf in pf["vfs"]}
    absent = parse(pf["absent_vfs"], MAX_VFS)
    return [known.get(vf_id) or {"id": vf_id, "present": False} for vf_id in sorted(known.keys() | absent)]


def _vf_rows(vfs: Sequence[dict[str, Any]], vectors: bool) -> list[tuple[str, ...]]:
    """In the order of each row's first VF."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for vf in vfs:
        alike.setdefault(_vf_cells(vf, vectors), []).append(vf)
    rows = []
    for (state, driver, *more), members in alike.items():
        ids = _shortened(compress(vf["id"] for vf in members))
        number = f" ({len(members)})" if len(members) > 1 and ".." not in ids else ""
        rows.append((ids + number, _ends(members, "address"), state, driver, _ends(members, "netdev"), *more))
    return rows


def _ends(vfs: Sequence[dict[str, Any]], name: str) -> str:
    """A name of theirs, or the first and the last one."""
    found = [vf[name] for vf in vfs if vf.get(name)]
    return found[0] if len(found) == 1 else f"{found[0]} .. {found[-1]}" if found else ""


def _vf_cells(vf: dict[str, Any], vectors: bool) -> tuple[str, ...]:
    """All that is shown of a VF but its names."""
    given = vf.get("properties", {})
    mac = given.get("mac", "")
    low, high = given.get("min_tx_rate") or 0, given.get("max_tx_rate") or 0
    return (
        "present" if vf["present"] else "absent",
        vf.get("driver") or ("-" if vf["present"] else ""),
        vf.get("held_by", ""),
        "" if mac == "00:00:00:00:00:00" else mac,
        _vlan(given),
        " ".join(_flags(vf, given)),
        f"{low}..{high or 'max'}" if low or high else "",
        str(vf.get("msix_vectors") or "") if vectors else "",
    )


def _flags(vf: dict[str, Any], given: dict[str, Any]) -> Iterator[str]:
    yield from (name for name in ("spoofchk", "trust", "query_rss") if given.get(name))
    if given.get("link_state", "auto") != "auto":
        yield f"link {given['link_state']}"
    if vf.get("driver_override") not in (None, vf.get("driver")):
        yield f"override {vf['driver_override']}"


def _vlan(given: dict[str, Any]) -> str:
    """``100 qos 3 802.1ad``, less what is usual."""
    if not given.get("vlan"):
        return ""
    qos = [f"qos {given['qos']}"] if given.get("qos") else []
    proto = [given["vlan_proto"]] if given.get("vlan_proto", "802.1q") != "802.1q" else []
    return " ".join([str(given["vlan"]), *qos, *proto])
