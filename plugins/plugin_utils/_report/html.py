# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report of a live update as HTML.

One page, or one for each host. Timelines are inline SVG; there is no script, and nothing comes from the network.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from html import escape
from typing import Any

from . import estimate, outage, timeline

CSS = """
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --ink: #1c2330; --dim: #647084; --line: #dfe3ea;
  --good: #1a7f4b; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --bg: #12151c; --card: #1a1f29; --ink: #e6e9ef; --dim: #97a1b3;
  --line: #2c3442; --good: #4fc986; --bad: #f97066; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 0; }
p.sub { color: var(--dim); margin: 0 0 1.5rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem; }
section { margin: 0 0 1.25rem; }
header { display: flex; gap: .75rem; align-items: baseline; flex-wrap: wrap; margin-bottom: .75rem; }
.badge { font-size: .8rem; font-weight: 600; padding: .1rem .6rem; border-radius: 999px; border: 1px solid; }
.good { color: var(--good); } .bad { color: var(--bad); } .dim { color: var(--dim); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: .75rem; margin: 0 0 1rem; }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.tile span { color: var(--dim); font-size: .8rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin-top: 1rem; }
th, td { text-align: left; padding: .35rem .6rem; border-top: 1px solid var(--line); white-space: nowrap; }
th { color: var(--dim); font-weight: 500; border-top: 0; }
td.parts { white-space: normal; min-width: 16rem; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font: .85em ui-monospace, monospace; }
"""


POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Content-Security-Policy of the pages: no script runs."""


GOOD = ("updated", "nothing to do")
"""Results of hosts that are as they should be."""


def page(report: Mapping[str, Any]) -> str:
    """Page of a report by `report.report_from_evidence`, with all its hosts."""
    hosts = report["hosts"]
    return document(
        f"Live update of {len(hosts)} hosts", f"{escape(summary(hosts))}; {_run(report)}",
        f"{_fleet(report)}{''.join(_host(host) for host in hosts)}",
    )  # fmt: skip


def host_page(host: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Page of one host, in a folder below the index."""
    back = f"<a href='../report.html'>all hosts</a>; {_run(report)}"
    return document(f"Live update of {host['name']}", back, _host(host))


def _run(report: Mapping[str, Any]) -> str:
    return f"run <code>{escape(report['run'])}</code>"


def document(title: str, below: str, body: str, policy: str = POLICY, more: str = "") -> str:
    """A whole document.

    ``title`` is text, the rest is markup, ``more`` ends the head.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}{timeline.CSS}</style>{more}</head><body><main>"
        f"<h1>Live update</h1><p class='sub'>{below}</p>{body}"
        "<p class='dim'>An outage lasts from the request for a VM's VFs until they were seen to work; it is at least "
        "as long where nobody has looked. All figures can be computed again from "
        "the folder <code>evidence</code> of this run.</p></main></body></html>\n"
    )


def summary(hosts: list[Mapping[str, Any]]) -> str:
    good = sum(host["result"] == "updated" for host in hosts)
    vms = [vm for host in hosts for vm in host["vms"]]
    outages = [vm["outage_s"] for vm in vms if vm["outage_s"] is not None]
    worst = f", longest outage {max(outages):.2f} s" if outages else ""
    return f"{good} of {len(hosts)} hosts updated; {outage.summary(vms)}{worst}"


def _fleet(report: Mapping[str, Any]) -> str:
    """Section with all hosts, batch by batch."""
    figure = timeline.of_batches(report)
    if not figure:
        return ""
    return f"<section><header><h2>Batches</h2></header><div class='scroll'>{figure}</div></section>"


def _host(host: Mapping[str, Any]) -> str:
    span = timeline.span(host)
    good = host["result"] in GOOD
    began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(span[0])) if span else ""
    return (
        f"<section><header><h2>{escape(host['name'])}</h2>"
        f"<span class='badge {'good' if good else 'bad'}'>{escape(str(host['result']))}</span>"
        f"<span class='dim'>{_kernels(host)}{began}{escape(estimate.shown(host))}</span></header>"
        f"{_error(host['error'])}{_details(host, span)}</section>"
    )


def _kernels(host: Mapping[str, Any]) -> str:
    """Kernels, interface and the update's id.

    It is the one that ``sriovctl live-update status`` shows on that host.
    """
    if host["kernel_before"] is None:
        return ""
    return (
        f"{escape(str(host['kernel_before']))} &rarr; {escape(str(host['kernel_after']))}, interface "
        f"{escape(str(host['interface']))}, update <code>{escape(str(host['update']))}</code>, "
    )


def _error(text: str | None) -> str:
    return f"<p class='bad'>{escape(text)}</p>" if text else ""


def _details(host: Mapping[str, Any], span: tuple[float, float] | None) -> str:
    """What its evidence shows of a host; nothing without any."""
    if span is None and not host["vms"] and not host["pfs"]:
        return ""
    return (
        f"{_tiles(host, span)}<div class='scroll'>{timeline.of_host(host)}</div>"
        f"{_later(host)}{_vm_table(host)}{_pf_table(host)}"
    )


def _later(host: Mapping[str, Any]) -> str:
    """Number of VFs added after the last VM had returned."""
    end = sum(host["vfs_present_at_end"].values())
    later = end - _count(host["present_ids_at_last_restore"])
    if later <= 0:
        return "<p class='dim'>All VFs were added before the last VM returned.</p>"
    return f"<p class='dim'>{later} of {end} VFs were added after the last VM had returned.</p>"


def _tiles(host: Mapping[str, Any], span: tuple[float, float] | None) -> str:
    outages = [vm["outage_s"] for vm in host["vms"] if vm["outage_s"] is not None]
    facts = [
        ("longest outage", f"{max(outages):.2f} s" if outages else "-"),
        ("whole update", f"{span[1] - span[0]:.1f} s" if span else "-"),
        ("VMs", str(len(host["vms"]))),
        ("VFs enabled", str(sum(host["vfs_enabled"].values()))),
        ("present, first restore", str(_count(host["present_ids_at_first_restore"]))),
        ("present, last restore", str(_count(host["present_ids_at_last_restore"]))),
        ("present at the end", str(sum(host["vfs_present_at_end"].values()))),
    ]
    tiles = "".join(f"<div class='tile'><b>{escape(value)}</b><span>{name}</span></div>" for name, value in facts)
    return f"<div class='tiles'>{tiles}</div>"


def _vm_table(host: Mapping[str, Any]) -> str:
    if not host["vms"]:
        return ""
    rows = "".join(_vm_row(vm) for vm in host["vms"])
    head = "".join(
        f"<th>{name}</th>" for name in ("VM", "VFs", "outage", "pause", "made of", "seen by", "counter", "boot id", "")
    )
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _vm_row(vm: Mapping[str, Any]) -> str:
    verdict = f"<span class='{'good' if outage.went_on(vm) else 'bad'}'>{escape(vm['state'])}</span>"
    verdict += "".join(f" {escape(str(vm[name]))}" for name in ("not_seen", "error") if vm[name])
    names = timeline.LABELS
    parts = ", ".join(f"{escape(names.get(part['name'], part['name']))} {part['s']:.2f} s" for part in vm["parts"])
    pause = "-" if vm["pause_s"] is None else f"{vm['pause_s']:.2f} s"
    return (
        f"<tr><td>{escape(vm['name'])}</td><td><code>{escape(', '.join(vm['vfs']))}</code></td>"
        f"<td class='number'>{outage.shown(vm)}</td><td class='number'>{pause}</td><td class='parts'>{parts}</td>"
        f"<td>{escape(vm['seen_by'] or '-')}</td><td>{vm['counter_before']} &rarr; {vm['counter_after']}</td>"
        f"<td><code>{escape(str(vm['boot_id_after'])[:8])}</code></td><td>{verdict}</td></tr>"
    )


def _pf_table(host: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(pf)}</code></td><td class='number'>{host['vfs_enabled'].get(pf, 0)}</td>"
        f"<td>{escape(', '.join(map(str, host['used_ids'].get(pf, []))) or '-')}</td>"
        f"<td class='number'>{len(host['present_ids_at_first_restore'].get(pf, []))}</td>"
        f"<td class='number'>{len(host['present_ids_at_last_restore'].get(pf, []))}</td>"
        f"<td class='number'>{host['vfs_present_at_end'].get(pf, 0)}</td></tr>"
        for pf in host["pfs"]
    )
    names = (
        "PF",
        "VFs enabled",
        "used by VMs",
        "present, first restore",
        "present, last restore",
        "present at the end",
    )
    head = "".join(f"<th>{name}</th>" for name in names)
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _count(ids: Mapping[str, list[int]]) -> int:
    return sum(len(found) for found in ids.values())
