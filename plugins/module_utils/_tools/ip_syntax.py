# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of ip(8) that set properties of VFs."""

from __future__ import annotations

from .._model.properties import VfProperties
from .._model.property_table import attribute_words


def set_argv(netdev: str, vf_id: int, wanted: VfProperties, current: VfProperties) -> list[str]:
    """Command that takes a VF from ``current`` to ``wanted`` properties.

    ``wanted`` has at most one GUID: of two in one command the kernel drops the second without an error
    (net/core/rtnetlink.c, do_setvfinfo). VLAN, QoS and protocol are one netlink attribute, so are both rates: where one
    changes, the others go with it.
    """
    words = [word for _names, part in _attributes(wanted, current) for word in part]
    return [*_vf_argv(netdev, vf_id), *words]


def set_parts(
    netdev: str, vf_id: int, wanted: VfProperties, current: VfProperties
) -> list[tuple[VfProperties, list[str]]]:
    """Parts of `set_argv`, one command for each netlink attribute.

    In the kernel's order, each with the properties that it sets.
    """
    parts = []
    for names, words in _attributes(wanted, current):
        given = {name: value for name, value in wanted.to_dict().items() if name in names}
        parts.append((VfProperties(**given), [*_vf_argv(netdev, vf_id), *words]))
    return parts


def _vf_argv(netdev: str, vf_id: int) -> list[str]:
    return ["ip", "link", "set", "dev", netdev, "vf", str(vf_id)]


def _attributes(wanted: VfProperties, current: VfProperties) -> list[tuple[set[str], list[str]]]:
    """Property names of each netlink attribute, and the words that set it."""
    return attribute_words(wanted.to_dict(), wanted.over(current).to_dict())
