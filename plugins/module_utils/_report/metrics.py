# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics for Prometheus, in the text format of node_exporter's textfile collector.

Names and units: prometheus.io/docs/practices/naming; format: .../docs/instrumenting/exposition_formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .._engine.last_apply import RESULTS, LastApply

PREFIX = "kvmfleet_sriov_"


@dataclass(frozen=True)
class PfFacts:
    """Facts of a PF for metrics.

    ``counts``: numbers of VFs by name of `_COUNTS`, those that are known; none of a ``blocked`` PF. ``unknown``:
    whether it could not be compared with what is declared for it, None where nothing is.
    """

    pf: str
    netdev: str | None = None
    driver: str | None = None
    interface: str | None = None
    blocked: bool = False
    counts: Mapping[str, int] | None = None
    unknown: bool | None = None


@dataclass(frozen=True)
class Facts:
    """Facts of a host for metrics.

    ``valid``: whether the host document fits this host, None without one; ``last`` is None before the first apply.
    ``notes``: what does not fit, and what could not be read; they are for people, not among the metrics.
    """

    pfs: tuple[PfFacts, ...] = ()
    valid: bool | None = None
    last: LastApply | None = None
    notes: tuple[str, ...] = ()


Sample = tuple[Mapping[str, str], float]
"""Labels and value."""

_COUNTS = {
    "supported": "VFs that the PF can have.",
    "hardware": "VFs enabled in hardware.",
    "hardware_wanted": "VFs that are declared to be enabled in hardware.",
    "wanted": "VFs that are declared to be present as PCI devices.",
    "present": "VFs that are present as PCI devices.",
    "surplus": "VFs that are declared to be absent, but that the kernel's interface cannot leave out.",
    "bound": "Present VFs that are bound to a driver.",
    "held": "Present VFs that somebody uses.",
}


def render(facts: Facts) -> str:
    """Text of all metrics; those without samples are left out."""
    return "".join(line for metric in _metrics(facts) for line in _lines(*metric))


def _metrics(facts: Facts) -> Iterator[tuple[str, str, list[Sample]]]:
    """(name, help, samples); all are gauges."""
    yield "pf_info", "A PF of this host, always 1.", [(_labels(pf), 1) for pf in facts.pfs]
    blocked: list[Sample] = [({"pf": pf.pf}, pf.blocked) for pf in facts.pfs]
    yield "pf_blocked", "Whether a write to the PF waits in the kernel for a user of a VF.", blocked
    for name, text in _COUNTS.items():
        yield f"vfs_{name}", text, _samples(facts.pfs, name)
    yield (
        "drift_steps",
        "Steps from what is there to what is declared, as sriovctl plan shows them.",
        _samples(facts.pfs, "drift"),
    )
    unknown: list[Sample] = [({"pf": pf.pf}, pf.unknown) for pf in facts.pfs if pf.unknown is not None]
    yield "drift_unknown", "Whether what is there could not be compared with what is declared.", unknown
    valid: list[Sample] = [] if facts.valid is None else [({}, facts.valid)]
    yield "document_valid", "Whether the host document fits this host.", valid
    last = [facts.last] if facts.last else []
    yield "last_apply_timestamp_seconds", "When the last apply ended.", [({}, one.time) for one in last]
    yield "last_apply_duration_seconds", "How long the last apply took.", [({}, one.seconds) for one in last]
    results: list[Sample] = [({"result": result}, one.result == result) for one in last for result in RESULTS]
    yield "last_apply_result", "How the last apply ended: 1 for that result, 0 for the others.", results


def _samples(pfs: Iterable[PfFacts], name: str) -> list[Sample]:
    return [({"pf": pf.pf}, pf.counts[name]) for pf in pfs if pf.counts and name in pf.counts]


def _labels(pf: PfFacts) -> dict[str, str]:
    return {
        "pf": pf.pf, "netdev": pf.netdev or "", "driver": pf.driver or "", "interface": pf.interface or "",
    }  # fmt: skip


def _lines(name: str, text: str, samples: list[Sample]) -> Iterator[str]:
    if samples:
        yield f"# HELP {PREFIX}{name} {text}\n# TYPE {PREFIX}{name} gauge\n"
    for labels, value in samples:
        pairs = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        yield f"{PREFIX}{name}{f'{{{pairs}}}' if pairs else ''} {_number(value)}\n"


def _escaped(label: str) -> str:
    """A label's text.

    Interface names may hold bytes that are no UTF-8; these become question marks.
    """
    return label.encode(errors="replace").decode().replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
