# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report of an adapter, without anything that names its host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import PCI_ADDRESS
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import printable

ADAPTER = (
    "driver", "driver_version", "firmware_version", "vendor", "device", "subsystem_vendor", "subsystem_device", "class",
    "total_vfs", "total_msix", "interface", "abilities", "eswitch_mode",
)  # fmt: skip
"""Facts of a PF, of `sriov_info`, about what it is, not where."""
TIMED = "all VFs"
"""The case that the seconds of a VF are of."""
_LONGEST = 1000
_HIDDEN = (
    (re.compile(PCI_ADDRESS), "PCI-ADDRESS"),
    (re.compile(r"\b(?:[0-9a-f]{2}:){5,}[0-9a-f]{2}\b", re.IGNORECASE), "HARDWARE-ADDRESS"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "IP-ADDRESS"),
)


def qualification(
    results: Sequence[Mapping[str, Any]], pf: Mapping[str, Any], kernel: Mapping[str, Any], names: Iterable[str] = ()
) -> dict[str, Any]:
    """The report of one adapter, for anybody to read.

    ``results`` are those of `sriov_pf`, one for each case, with the case as ``item``; ``pf`` and ``kernel`` are of
    `sriov_info` before the first one; ``names`` of the host are left out, as addresses and interfaces are.
    """
    hidden = [*names, pf.get("netdev"), *(pf.get("altnames") or ())]
    cases = [_case(one, [str(name) for name in hidden if name]) for one in results]
    timed = [
        one for one in cases if one["case"] == TIMED and one["works"] and one["vfs"] and one["seconds"] is not None
    ]
    return {
        "adapter": {name: _shown(pf.get(name)) for name in ADAPTER},
        "kernel": _shown(kernel.get("release")),
        "seconds_per_vf": round(timed[0]["seconds"] / timed[0]["vfs"], 4) if timed else None,
        "cases": cases,
    }


def _case(result: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    works = "kind" not in result and not result.get("unreachable")
    said = "; ".join(map(str, result.get("notes", ()))) if works else str(result.get("msg", "it gave no reason"))
    return {
        "case": str(result["item"]["case"]),
        "works": works,
        "seconds": round(seconds, 4) if isinstance(seconds := result.get("seconds"), float) else None,
        "vfs": _enabled(result),
        "said": _anonymous(said, names),
    }


def _shown(value: object) -> object:
    """A fact, without what would be more than one."""
    return printable(value[:_LONGEST]) if isinstance(value, str) else value


def _enabled(result: Mapping[str, Any]) -> int:
    """How many VFs a case has enabled."""
    after = [str(step.get("after")) for step in result.get("steps", ()) if step.get("step") == "enable"]
    return int(after[-1]) if after and re.fullmatch(r"\d{1,5}", after[-1], re.ASCII) else 0


def _anonymous(text: str, names: Sequence[str]) -> str:
    for pattern, word in _HIDDEN:
        text = pattern.sub(word, text)
    for name in names:
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", "NAME", text)
    return printable(text[:_LONGEST])
