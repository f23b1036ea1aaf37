# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from ._vfids import compress, describe


def table(head: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Lines with columns as wide as their widest cell; columns without any content are left out."""
    body = [list(map(str, row)) for row in rows]
    shown = [index for index in range(len(head)) if any(row[index] for row in body)]
    lines = [[row[index] for index in shown] for row in [list(head), *body]]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return [indent + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]


def status_lines(pfs: Sequence[dict[str, Any]]) -> list[str]:
    """PFs and, below each, its VFs, as `_info.gather` gives them; VFs that differ only in address share a line."""
    if not pfs:
        return ["This host has no PF that supports SR-IOV."]
    readable = [pf for pf in pfs if "blocked" not in pf]
    head_names = ("PF", "NETWORK", "DRIVER", "KERNEL INTERFACE", "ENABLED", "PRESENT", "AUTOPROBE", "ESWITCH")
    heads = table(head_names, map(_pf_row, readable))
    lines = heads[:1] if readable else []
    for head, pf in zip(heads[1:], readable):
        names = ("VF", "ADDRESS", "STATE", "DRIVER", "HELD BY", "MAC", "VLAN", "FLAGS", "TX MBIT/S")
        vfs = table(names, _vf_rows(pf["vfs"]), "    ") if pf["vfs"] else []
        lines += [head, *vfs]
    return lines + [f"{pf['pf']}  blocked: {pf['blocked']}" for pf in pfs if "blocked" in pf]


def step_lines(steps: Sequence[dict[str, Any]]) -> list[str]:
    """Steps as `_steps.summary` gives them."""
    rows = [(step["pf"], step["step"], step.get("vfs", ""), f"{step['before']} -> {step['after']}") for step in steps]
    return table(("PF", "STEP", "VFS", "CHANGE"), rows) if rows else []


def _pf_row(pf: dict[str, Any]) -> tuple[str, ...]:
    enabled = f"{pf['hardware_vfs']} of {pf['total_vfs']}"
    return (
        pf["pf"], pf["netdev"] or "-", pf["driver"] or "-", pf["interface"], enabled, pf["present_vfs"],
        "on" if pf["drivers_autoprobe"] else "off", pf.get("eswitch_mode") or "",
    )  # fmt: skip


def _vf_rows(vfs: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    rows = []
    for cells, group in groupby(vfs, _vf_cells):
        members = list(group)
        ids = [vf["id"] for vf in members]
        addresses = [vf["address"] for vf in members]
        where = addresses[0] if len(members) == 1 else f"{addresses[0]} .. {addresses[-1]}"
        rows.append((describe(ids) if len(ids) == 1 else f"{compress(ids)} ({len(ids)})", where, *cells))
    return rows


def _vf_cells(vf: dict[str, Any]) -> tuple[str, ...]:
    """All that is shown of a VF but its id and address."""
    given = vf.get("properties", {})
    mac = given.get("mac", "")
    flags = [name for name in ("spoofchk", "trust", "query_rss") if given.get(name)]
    link = given.get("link_state", "auto")
    low, high = given.get("min_tx_rate") or 0, given.get("max_tx_rate") or 0
    return (
        "present" if vf["present"] else "absent",
        vf.get("driver") or ("-" if vf["present"] else ""),
        vf.get("held_by", ""),
        "" if mac == "00:00:00:00:00:00" else mac,
        _vlan(given),
        " ".join([*flags, *([] if link == "auto" else [f"link {link}"])]),
        f"{low}..{high or 'max'}" if low or high else "",
    )


def _vlan(given: dict[str, Any]) -> str:
    """``100 qos 3 802.1ad``, less what is usual."""
    if not given.get("vlan"):
        return ""
    qos = [f"qos {given['qos']}"] if given.get("qos") else []
    proto = [given["vlan_proto"]] if given.get("vlan_proto", "802.1q") != "802.1q" else []
    return " ".join([str(given["vlan"]), *qos, *proto])
