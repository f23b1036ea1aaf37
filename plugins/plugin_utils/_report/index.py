# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Index of a report with many hosts.

A table to sort and to filter, and a page for each host. Its only script is the one below, which reads and orders what
is there; the policy of the page lets no other run.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from . import html, outage, render, timeline

ON_ONE_PAGE = 30
"""Most hosts that are shown on one page together."""
LONGEST_ERROR = 160
"""Most characters of an error in the table."""
CSS = """
main { max-width: 1400px; } th { cursor: pointer; } td:last-child { white-space: normal; }
th[aria-sort=ascending]::after { content: " \\2191"; } th[aria-sort=descending]::after { content: " \\2193"; }
input { font: inherit; padding: .3rem .6rem; width: 24rem; max-width: 100%; }
"""
SCRIPT = """
const body = document.querySelector("tbody"), rows = [...body.rows], words = document.querySelector("input");
const heads = [...document.querySelectorAll("th")];
const value = (row, at) => { const cell = row.cells[at].textContent; return cell === "" ? null : cell; };
function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  const numbers = Number(a) - Number(b);
  return Number.isNaN(numbers) ? a.localeCompare(b, undefined, { numeric: true }) : numbers;
}
heads.forEach((head, at) => head.addEventListener("click", () => {
  const down = head.getAttribute("aria-sort") === "ascending";
  heads.forEach((one) => one.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  rows.sort((a, b) => compare(value(a, at), value(b, at)) * (down ? -1 : 1));
  body.append(...rows);
}));
words.addEventListener("input", () => {
  const wanted = words.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !wanted.every((word) => text.includes(word));
  }
});
"""
COLUMNS = ("host", "result", "VMs", "went on", "longest outage, s", "whole update, s", "began, UTC", "reason")


def pages(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(path, content) of each page; ``report.html`` comes first."""
    hosts = report["hosts"]
    if len(hosts) <= ON_ONE_PAGE:
        yield "report.html", html.page(report)
        return
    yield "report.html", index(report)
    for host in hosts:
        yield f"hosts/{file_name(host['name'])}", html.host_page(host, report)


def file_name(host: str) -> str:
    """Name of a host's page, whatever the host is called."""
    return f"{quote(host, safe='')}.html"


def index(report: Mapping[str, Any]) -> str:
    hosts = report["hosts"]
    counts = ", ".join(f"{number} {result}" for result, number in Counter(_kind(host) for host in hosts).items())
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return render.page(
        "index.html.j2", f"Live update of {len(hosts)} hosts", f"{render.POLICY}; script-src 'sha256-{digest}'",
        css=Markup(CSS), script=Markup(SCRIPT), summary=html.summary(hosts), counts=counts, run=report["run"],
        head=COLUMNS, rows=[_row(host) for host in hosts],
    )  # fmt: skip


def _kind(host: Mapping[str, Any]) -> str:
    """Its result, without what may follow."""
    return str(host["result"]).split(":", 1)[0]


def _reason(host: Mapping[str, Any]) -> str:
    return str(host["error"] or str(host["result"]).partition(": ")[2])


def _row(host: Mapping[str, Any]) -> dict[str, object]:
    span = timeline.span(host)
    outages = [vm["outage_s"] for vm in host["vms"] if vm["outage_s"] is not None]
    return {
        "link": quote(f"hosts/{file_name(host['name'])}"),
        "name": host["name"],
        "look": "good" if host["result"] in html.GOOD else "bad",
        "kind": _kind(host),
        "cells": (
            len(host["vms"]),
            sum(map(outage.went_on, host["vms"])),
            f"{max(outages):.2f}" if outages else "",
            f"{span[1] - span[0]:.1f}" if span else "",
            time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(span[0])) if span else "",
            _reason(host)[:LONGEST_ERROR],
        ),
    }
