# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML report of a live update: what its pages show.

One page, or one for each host. Timelines are inline SVG; there is no script, and nothing comes from the network. The
markup is in templates (`render`), which escape whatever is given here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from . import estimate, outage, render, strategies, timeline

GOOD = ("updated", "nothing to do")
"""Results of hosts that are as they should be."""
VM_HEAD = ("VM", "VFs", "outage", "pause", "made of", "seen by", "counter", "boot id", "")
PF_HEAD = ("PF", "VFs enabled", "used by VMs", "present, first restore", "present, last restore", "present at the end")


class Cell(NamedTuple):
    """A cell of a table, with its class ``look``."""

    text: object
    look: str = ""
    code: bool = False
    more: str = ""


def page(report: Mapping[str, Any]) -> str:
    """Page of a report by `report.report_from_evidence`, with all its hosts."""
    hosts = report["hosts"]
    return render.page(
        "report.html.j2", f"Live update of {len(hosts)} hosts", summary=summary(hosts), run=report["run"],
        batches=Markup(timeline.of_batches(report)), hosts=[_host(host) for host in hosts],
    )  # fmt: skip


def host_page(host: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Page of one host, in a folder below the index."""
    return render.page("one_host.html.j2", f"Live update of {host['name']}", run=report["run"], host=_host(host))


def summary(hosts: list[Mapping[str, Any]]) -> str:
    good = sum(host["result"] == "updated" for host in hosts)
    vms = [vm for host in hosts for vm in host["vms"]]
    outages = [vm["outage_s"] for vm in vms if vm["outage_s"] is not None]
    worst = f", longest outage {max(outages):.2f} s" if outages else ""
    return f"{good} of {len(hosts)} hosts updated; {outage.summary(vms)}{worst}"


def _host(host: Mapping[str, Any]) -> dict[str, object]:
    """What the section of a host shows.

    The update's id is the one that ``sriovctl live-update status`` shows on that host.
    """
    span = timeline.span(host)
    known = span is not None or bool(host["vms"] or host["pfs"])
    names = ("name", "result", "error", "kernel_before", "kernel_after", "interface")
    return {
        **{name: host[name] for name in names},
        "look": "good" if host["result"] in GOOD else "bad",
        "update_id": host["update"],
        "kernels": host["kernel_before"] is not None,
        "began": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(span[0])) if span else "",
        "estimate": estimate.shown(host),
        "left": strategies.left(host),
        "known": known,
        **(_details(host, span) if known else {}),
    }


def _details(host: Mapping[str, Any], span: tuple[float, float] | None) -> dict[str, object]:
    """What its evidence shows of a host."""
    return {
        "tiles": _tiles(host, span), "timeline": Markup(timeline.of_host(host)), "later": _later(host),
        "vm_head": VM_HEAD, "vms": [_vm_row(vm, host["strategies"].get(vm["name"], "")) for vm in host["vms"]],
        "pf_head": PF_HEAD, "pfs": [_pf_row(host, pf) for pf in host["pfs"]],
    }  # fmt: skip


def _later(host: Mapping[str, Any]) -> str:
    """Number of VFs added after the last VM had returned."""
    end = sum(host["vfs_present_at_end"].values())
    later = end - _count(host["present_ids_at_last_restore"])
    if later <= 0:
        return "All VFs were added before the last VM returned."
    return f"{later} of {end} VFs were added after the last VM had returned."


def _tiles(host: Mapping[str, Any], span: tuple[float, float] | None) -> list[tuple[str, str]]:
    outages = [vm["outage_s"] for vm in host["vms"] if vm["outage_s"] is not None]
    return [
        (f"{max(outages):.2f} s" if outages else "-", "longest outage"),
        (f"{span[1] - span[0]:.1f} s" if span else "-", "whole update"),
        (str(len(host["vms"])), "VMs"),
        (str(sum(host["vfs_enabled"].values())), "VFs enabled"),
        (str(_count(host["present_ids_at_first_restore"])), "present, first restore"),
        (str(_count(host["present_ids_at_last_restore"])), "present, last restore"),
        (str(sum(host["vfs_present_at_end"].values())), "present at the end"),
    ]


def _images(vm: Mapping[str, Any]) -> list[str]:
    return [f"not compared: {', '.join(vm['not_compared'])}"] if vm["not_compared"] else []


def _vm_row(vm: Mapping[str, Any], strategy: str) -> list[Cell]:
    names = timeline.LABELS
    parts = ", ".join(f"{names.get(part['name'], part['name'])} {part['s']:.2f} s" for part in vm["parts"])
    return [
        Cell(vm["name"], more=f"({strategy})" if strategy else ""),
        Cell(", ".join(vm["vfs"]), code=True),
        Cell(outage.shown(vm), "number"),
        Cell("-" if vm["pause_s"] is None else f"{vm['pause_s']:.2f} s", "number"),
        Cell(parts, "parts"),
        Cell(vm["seen_by"] or "-"),
        Cell(f"{vm['counter_before']} \u2192 {vm['counter_after']}"),
        Cell(str(vm["boot_id_after"])[:8], code=True),
        Cell(
            vm["state"], "good" if outage.went_on(vm) else "bad",
            more=" ".join([*(str(vm[name]) for name in ("not_seen", "error") if vm[name]), *_images(vm)]),
        ),
    ]  # fmt: skip


def _pf_row(host: Mapping[str, Any], pf: str) -> list[Cell]:
    return [
        Cell(pf, code=True),
        Cell(host["vfs_enabled"].get(pf, 0), "number"),
        Cell(", ".join(map(str, host["used_ids"].get(pf, []))) or "-"),
        Cell(len(host["present_ids_at_first_restore"].get(pf, [])), "number"),
        Cell(len(host["present_ids_at_last_restore"].get(pf, [])), "number"),
        Cell(host["vfs_present_at_end"].get(pf, 0), "number"),
    ]


def _count(ids: Mapping[str, list[int]]) -> int:
    return sum(len(found) for found in ids.values())
