# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML that attaches the very VF that a domain had.

An interface of a network of VFs (``<forward mode='hostdev'>``) has the VF that the network gave it; attached as it is,
it would be given any other.
"""

from __future__ import annotations

from xml.etree.ElementTree import tostring

from ..._tools import bounded_xml

ELEMENTS = ("hostdev", "interface")
GIVEN = ("source", "vlan", "virtualport", "driver")
"""What the network has decided; the rest is the interface's own."""
OF_NETWORK = ("network", "portgroup", "portid")
"""Attributes of a source that are about its network."""


def by_address(xml: str) -> str:
    """The same device, attached by the address that it has."""
    item = bounded_xml.parse(xml, *ELEMENTS)
    actual = item.find("actual")
    if actual is not None:
        for tag in ("actual", *(one for one in GIVEN if actual.find(one) is not None), "source"):
            for old in item.findall(tag):
                item.remove(old)
        item.extend(one for one in actual if one.tag in GIVEN)
        item.set("type", actual.get("type", ""))
        item.attrib.update({"managed": actual.get("managed", "no")})
    for source in item.findall("source"):
        for name in OF_NETWORK:
            source.attrib.pop(name, None)
    return tostring(item, encoding="unicode").strip()
