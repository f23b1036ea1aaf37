# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that drivers have chosen, and that nobody has declared.

A document that pins them gives VFs addresses of another boot, and other hosts the addresses of this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._model import addresses
from .._readers.mac_origin import RANDOM

_Facts = Mapping[str, Any]
"""A PF, or one of its VFs, as `info.gather` returns it."""

_LOCAL = 0x02
"""Bit of the first octet of addresses that no manufacturer gives.

IEEE 802-2014, 8.4.4.
"""
_MAKER = 3
"""Octets of an address that name its manufacturer."""
_BY_TOOLS = ("52:54:00", "fa:16:3e")
"""Beginnings that libvirt, QEMU and OpenStack choose.

Those of people mostly have 02 as first octet.
"""
_SHARED = 4
"""Octets that two random addresses hardly ever have in common."""

USUAL_MTUS = {False: (1500,), True: (2044, 4092)}
"""MTUs of interfaces that were given none, of Ethernet and of InfiniBand.

include/uapi/linux/if_ether.h, ETH_DATA_LEN; drivers/infiniband/ulp/ipoib/ipoib.h, IPOIB_UD_MTU: the port's less 4.
"""
_INFINIBAND_OCTETS = 20


def usual_mtus(pf: _Facts) -> tuple[int, ...]:
    """MTUs that the PF's interface and those of its VFs start with."""
    octets = str(pf.get("mac") or "").count(":") + 1
    return USUAL_MTUS[octets == _INFINIBAND_OCTETS]


def values(pf: _Facts, vf: _Facts) -> dict[str, str]:
    """Properties of a VF that were made up, with reasons."""
    return dict(_found(pf, vf, vf.get("properties") or {}))


def doubtful(pf: _Facts, vf: _Facts) -> bool:
    """Whether the VF's MAC address may be made up, unseen.

    The driver of a guest does so, and drivers of some PFs.
    """
    mac = _mac(vf.get("properties") or {})
    if mac is None or not _first(mac) & _LOCAL or "mac" in values(pf, vf):
        return False
    chosen = _first(mac) == _LOCAL or mac.startswith(_BY_TOOLS) or vf.get("netdev_mac_origin") == "set"
    return not (chosen or _is_ours(pf, vf, mac) or _is_one_of_a_range(pf, vf, mac))


def _found(pf: _Facts, vf: _Facts, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    mac, speed = _mac(given), pf.get("speed")
    if mac is not None and mac == vf.get("netdev_mac") and vf.get("netdev_mac_origin") == RANDOM:
        yield "mac", "their drivers have made up (addr_assign_type 1), others at each boot"
    elif mac is not None and _is_the_makers(pf, mac) and vf.get("netdev_mac_origin") in (None, "permanent"):
        yield "mac", "come with the device, as that of the PF does"
    if speed and given.get("max_tx_rate") == speed:
        yield "max_tx_rate", "are the speed of the PF's link, so no limit"


def _mac(given: Mapping[str, Any]) -> str | None:
    """The MAC address among properties, None for a reading that is none."""
    mac = given.get("mac")
    return mac if isinstance(mac, str) and addresses.is_plain(mac, 6) else None


def _first(mac: str) -> int:
    return int(mac[:2], 16)


def _is_the_makers(pf: _Facts, mac: str) -> bool:
    """Whether the PF's manufacturer has given a VF its address.

    As be2net and cxgb4 do, which derive it from the PF's own.
    """
    length = 3 * _MAKER
    return not _first(mac) & _LOCAL and mac.strip("0:") != "" and mac[:length] == str(pf.get("mac") or "")[:length]


def _is_ours(pf: _Facts, vf: _Facts, mac: str) -> bool:
    """Whether the address is the hash that documents can ask for."""
    identity = pf.get("mac")
    return bool(identity) and addresses.address(addresses.HASH, int(vf["id"]), str(identity)) == mac


def _is_one_of_a_range(pf: _Facts, vf: _Facts, mac: str) -> bool:
    """Whether another VF has an address with the same beginning."""
    beginning = mac[: 3 * _SHARED]
    others = ((one.get("properties") or {}).get("mac") or "" for one in pf["vfs"] if one["id"] != vf["id"])
    return any(one.startswith(beginning) for one in others)
