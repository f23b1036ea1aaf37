# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of ip(8) that set properties of VFs."""

from __future__ import annotations

from collections.abc import Iterator

from .._model.properties import VfProperties

_FLAGS = {True: "on", False: "off"}


ALWAYS_REPORTED = frozenset({"vlan", "qos", "vlan_proto", "link_state", "min_tx_rate", "max_tx_rate"})
"""Properties that the kernel reports whether the driver knows them or not (net/core/rtnetlink.c, rtnl_fill_vfinfo)."""


def set_argv(netdev: str, vf_id: int, wanted: VfProperties, found: VfProperties) -> list[str]:
    """The command that brings VF ``vf_id`` from ``found`` to ``wanted``, which has at most one GUID.

    VLAN, QoS and protocol are one netlink attribute, so are both rates: where one changes, the others go with it. Of
    two GUIDs in one command the kernel drops the second and says nothing (net/core/rtnetlink.c, do_setvfinfo).
    """
    words = [word for _names, group in _groups(wanted, found) for word in group]
    return [*_vf_argv(netdev, vf_id), *words]


def set_parts(
    netdev: str, vf_id: int, wanted: VfProperties, found: VfProperties
) -> list[tuple[VfProperties, list[str]]]:
    """What `set_argv` does, attribute by attribute in the kernel's order: what each gives, and its command."""
    parts = []
    for names, words in _groups(wanted, found):
        given = {name: value for name, value in wanted.to_dict().items() if name in names}
        parts.append((VfProperties(**given), [*_vf_argv(netdev, vf_id), *words]))
    return parts


def _vf_argv(netdev: str, vf_id: int) -> list[str]:
    return ["ip", "link", "set", "dev", netdev, "vf", str(vf_id)]


def _groups(wanted: VfProperties, found: VfProperties) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Names of properties that are one netlink attribute, and the words that set it."""
    full = wanted.over(found)
    if wanted.mac is not None:
        yield ("mac",), ["mac", wanted.mac]
    if wanted.vlan is not None or wanted.qos is not None or wanted.vlan_proto is not None:
        yield ("vlan", "qos", "vlan_proto"), _vlan(full)
    if wanted.min_tx_rate is not None or wanted.max_tx_rate is not None:
        rates = ["max_tx_rate", str(full.max_tx_rate or 0), "min_tx_rate", str(full.min_tx_rate or 0)]
        yield ("min_tx_rate", "max_tx_rate"), rates
    for name, word in (("spoofchk", "spoofchk"), ("trust", "trust"), ("query_rss", "query_rss")):
        if (flag := getattr(wanted, name)) is not None:
            yield (name,), [word, _FLAGS[flag]]
    if wanted.link_state is not None:
        yield ("link_state",), ["state", wanted.link_state]
    for name in ("node_guid", "port_guid"):
        if (guid := getattr(wanted, name)) is not None:
            yield (name,), [name, guid]


def _vlan(full: VfProperties) -> list[str]:
    """Without a VLAN no QoS either: drivers keep tagging with VLAN 0 otherwise (igb_main.c, igb_ndo_set_vf_vlan)."""
    if not full.vlan:
        return ["vlan", "0", "qos", "0"]
    proto = ["proto", full.vlan_proto] if full.vlan_proto == "802.1ad" else []
    return ["vlan", str(full.vlan), "qos", str(full.qos or 0), *proto]
