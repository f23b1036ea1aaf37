# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of ip(8) that set properties of VFs."""

from __future__ import annotations

from .._model.properties import VfProperties
from .._model.property_table import attribute_words


def set_argv(netdev: str, vf_id: int, wanted: VfProperties, found: VfProperties) -> list[str]:
    """The command that brings VF ``vf_id`` from ``found`` to ``wanted``, which has at most one GUID.

    VLAN, QoS and protocol are one netlink attribute, so are both rates: where one changes, the others go with it. Of
    two GUIDs in one command the kernel drops the second and says nothing (net/core/rtnetlink.c, do_setvfinfo).
    """
    words = [word for _names, part in _attributes(wanted, found) for word in part]
    return [*_vf_argv(netdev, vf_id), *words]


def set_parts(
    netdev: str, vf_id: int, wanted: VfProperties, found: VfProperties
) -> list[tuple[VfProperties, list[str]]]:
    """What `set_argv` does, attribute by attribute in the kernel's order: what each gives, and its command."""
    parts = []
    for names, words in _attributes(wanted, found):
        given = {name: value for name, value in wanted.to_dict().items() if name in names}
        parts.append((VfProperties(**given), [*_vf_argv(netdev, vf_id), *words]))
    return parts


def _vf_argv(netdev: str, vf_id: int) -> list[str]:
    return ["ip", "link", "set", "dev", netdev, "vf", str(vf_id)]


def _attributes(wanted: VfProperties, found: VfProperties) -> list[tuple[set[str], list[str]]]:
    """Names of the properties that are one netlink attribute, and the words that set it."""
    return attribute_words(wanted.to_dict(), wanted.over(found).to_dict())
