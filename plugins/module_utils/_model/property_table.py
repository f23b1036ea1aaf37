# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All declarable values of VFs and PFs, one row each.

This is the only place that describes them. From the rows come the checks of the host document, the words of
`ip link set`, the parser of `ip -json link show`, the columns of `sriovctl status`, the export and, by `make generate`,
the fields of `VfProperties`, `VfDevice` and `PfSettings`, argument specs, documentation and the JSON Schema. Imported
only where a value is given or read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .link import ETHER, INFINIBAND
from .properties import NO_GUID, NO_MAC, VfProperties
from .property_row import (
    ENABLED,
    PF,
    PRESENT,
    Address,
    Choice,
    Entry,
    Flag,
    InterfaceName,
    Number,
    Property,
    mac_of,
    of_rate,
    of_tag,
    values_of,
    words_of,
)
from .settings import DOWN, ESWITCH_MODES, LEGACY, UP

_RATE = Number(0, 2**31 - 1)
_MTU = Number(68, 65535)
"""MTUs up to the IP maximum; `Link` has the interface's limits."""
_VECTORS = Number(1, 2048)
"""Sizes of an MSI-X table.

PCIe base specification, 7.7.2.2: Table Size is an 11 bit field, less one.
"""


# Rows of enabled VFs are in the order in which they are set.
TABLE = (
    Property(
        "mac", ENABLED, Address(6, hashed=True), "MAC address, for a single VF.", NO_MAC, shown=mac_of,
        column="MAC", label="{}",
    ),
    Property(
        "vlan", ENABLED, Number(0, 4094, derived=True), "VLAN id from 1 to 4094, 0 for none.", 0, attribute="vlan",
        shown=of_tag("vlan"), omitted=True, always_reported=True, column="VLAN", label="{}",
    ),
    Property(
        "qos", ENABLED, Number(0, 7), "VLAN priority from 0 to 7. Needs O({vf}vlan).", 0, needs="vlan",
        attribute="vlan", shown=of_tag("qos"), omitted=True, always_reported=True, column="VLAN",
    ),
    Property(
        "vlan_proto", ENABLED, Choice(("802.1q", "802.1ad")), "VLAN protocol. V(802.1ad) needs O({vf}vlan).", "802.1q",
        needs="vlan", attribute="vlan", word="proto", unsaid=True, shown=of_tag("protocol"), omitted=True,
        always_reported=True, column="VLAN", label="{}",
    ),
    Property(
        "max_tx_rate", ENABLED, _RATE, "Bandwidth limit in Mbit/s, 0 for none.", 0, attribute="rate",
        shown=of_rate("max_tx"), always_reported=True, column="TX MBIT/S",
    ),
    Property(
        "min_tx_rate", ENABLED, _RATE, "Guaranteed bandwidth in Mbit/s, 0 for none.", 0, at_most="max_tx_rate",
        attribute="rate", shown=of_rate("min_tx"), always_reported=True, column="TX MBIT/S",
    ),
    Property("spoofchk", ENABLED, Flag(), "Whether the VF may only send with its own MAC address and VLAN."),
    Property(
        "trust", ENABLED, Flag(), "Whether the VF may change its MAC address, become promiscuous and the like.", False,
    ),
    Property(
        "query_rss", ENABLED, Flag(), "Whether the VF may ask for its RSS configuration, its hash key among it.", False,
        shown="query_rss_en",
    ),
    Property(
        "link_state", ENABLED, Choice(("auto", "enable", "disable")), "Link state that the VF sees.", "auto",
        word="state", always_reported=True, links=(ETHER, INFINIBAND), label="link {}",
    ),
    Property(
        "node_guid", ENABLED, Address(8), "Node GUID of a VF of an InfiniBand PF, for a single VF.", NO_GUID,
        shown="node guid", links=(INFINIBAND,), column="",
    ),
    Property(
        "port_guid", ENABLED, Address(8), "Port GUID of a VF of an InfiniBand PF, written as in O({vf}node_guid).",
        NO_GUID, shown="port guid", links=(INFINIBAND,), column="",
    ),
    Property(
        "msix_vectors", PRESENT, _VECTORS, "Size of the MSI-X table of those of the VFs that are present.",
        column="MSI-X", label="{}",
    ),
    Property(
        "mtu", PRESENT, _MTU, "MTU of the network interface that a present VF has on this host, in bytes.", 1500,
        column="",
    ),
    Property(
        "name", PRESENT, InterfaceName(),
        "Name of the network interface that a present VF has on this host, for a single VF.", column="",
    ),
    Property("eswitch_mode", PF, Choice(ESWITCH_MODES), "Mode of the PF's embedded switch.", LEGACY),
    Property("mtu", PF, _MTU, "MTU of the PF's network interface, in bytes.", 1500),
    Property("link", PF, Choice((UP, DOWN)), "Whether the PF's network interface is up, as C(ip link set) has it."),
)  # fmt: skip

VF_PROPERTIES = tuple(row for row in TABLE if row.of == ENABLED)
VF_DEVICE = tuple(row for row in TABLE if row.of == PRESENT)
PF_SETTINGS = tuple(row for row in TABLE if row.of == PF)
BY_NAME = {row.name: row for row in VF_PROPERTIES}


def _attributes() -> tuple[tuple[Property, ...], ...]:
    rows: dict[str, list[Property]] = {}
    for row in VF_PROPERTIES:
        rows.setdefault(row.attribute or row.name, []).append(row)
    return tuple(map(tuple, rows.values()))


ATTRIBUTES = _attributes()
"""The rows of each netlink attribute."""


def properties_of(entries: Iterable[Entry]) -> list[VfProperties]:
    """The properties in each entry of vfinfo_list."""
    return [VfProperties(*values_of(VF_PROPERTIES, entry)) for entry in entries]


def attribute_words(given: Iterable[str], values: Mapping[str, Any]) -> list[tuple[set[str], list[str]]]:
    """Property names and command words of each netlink attribute to set.

    An attribute is set where one of its properties is ``given``; the words set its ``values``.
    """
    named = [({row.name for row in rows}, rows) for rows in ATTRIBUTES]
    return [(names, words_of(rows, values)) for names, rows in named if names & set(given)]
