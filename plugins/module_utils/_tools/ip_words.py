# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of ``ip`` for properties of VFs that are none of theirs."""

from __future__ import annotations

from typing import Any

from .._model.property_table import VF_PROPERTIES
from .._model.values import shown
from .._system.process import Run
from . import ip

Unknown = dict[tuple[str, str], list[int]]
"""Ids of VFs by a property and its word."""


def read_link(run: Run, netdev: str) -> tuple[ip.Reading, Unknown]:
    """`ip.read_link`, and the words that it takes for "not reported"."""
    return ip.read_one(run, netdev, lambda link: (ip.reading(link), _unknown(link)))


def _unknown(link: dict[str, Any]) -> Unknown:
    """Words that are none of a property's.

    Such as a flag that is neither on nor off."""
    found: Unknown = {}
    for vf in link.get("vfinfo_list", []):
        for row in VF_PROPERTIES:
            if row.said(vf) not in (None, "") and row.read(vf) is None:
                found.setdefault((row.name, shown(row.said(vf))), []).append(ip.vf_id_of(vf))
    return found
