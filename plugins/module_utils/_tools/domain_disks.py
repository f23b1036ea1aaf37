# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a libvirt domain, each with all images below it.

Formats: libvirt.org/formatdomain.html, "Hard drives, floppy disks, CDROMs", and "backingStore".
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

PLACES = {"file": "file", "block": "dev", "dir": "dir", "volume": "volume"}
"""Attribute that names a source, by the type of its disk."""


@dataclass(frozen=True)
class Disk:
    """A disk of a domain.

    ``target``: its name in the guest; ``device``: disk, cdrom, floppy or lun. ``images``: names of its chain, the one
    that the guest writes to first, none for an empty drive; what is no file or block device has a protocol before it.
    ``known``: whether libvirt says the whole chain; ``job``: a block job runs on it. ``transient``: what the guest
    writes is lost at its end.
    """

    target: str
    device: str = "disk"
    images: tuple[str, ...] = ()
    read_only: bool = False
    shareable: bool = False
    transient: bool = False
    known: bool = True
    job: bool = False


def parse(item: Element) -> Disk:
    """Parse a ``<disk>``."""
    target = item.find("target")
    images: list[str] = []
    layer: Element | None = item
    known = False
    while layer is not None:
        source = layer.find("source")
        if source is not None:
            images += filter(None, [name(layer.get("type", "file"), source)])
        below = layer.find("backingStore")
        known = below is not None and not len(below)
        layer = below if below is not None and len(below) else None
    return Disk(
        "" if target is None else target.get("dev", ""),
        item.get("device", "disk"),
        tuple(images),
        item.find("readonly") is not None,
        item.find("shareable") is not None,
        item.find("transient") is not None,
        known or not images,
        item.find("mirror") is not None,
    )


def name(kind: str, source: Element) -> str:
    """Name of a source: a path, or one with a protocol.

    Empty for none.
    """
    if kind in ("file", "block"):
        return source.get(PLACES[kind], "")
    if kind == "network":
        host = source.find("host")
        where = "" if host is None else f"//{host.get('name', host.get('socket', ''))}/"
        return f"{source.get('protocol', 'network')}:{where}{source.get('name', '')}"
    return f"{kind}:{source.get(PLACES.get(kind, ''), '')}"
