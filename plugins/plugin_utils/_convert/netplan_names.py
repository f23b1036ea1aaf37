# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces of PFs and VFs by netplan's ids, ``match`` and ``set-name``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import hardware
from .conversion import PfName, listing, mac, mapping, selector
from .conversion import name as text

_GLOB = re.compile(r"[*?[]")


def named(name: str, entry: Mapping[str, Any], pfs: Sequence[Mapping[str, Any]] | None) -> PfName | None:
    """Name of a PF by its interface or a selector.

    None when neither identifies one.
    """
    if entry.get("set-name"):
        return text(entry["set-name"], f"ethernets.{name}.set-name")
    match = mapping(entry.get("match"), f"ethernets.{name}.match")
    if not match:
        return name
    pattern = text(match["name"], f"ethernets.{name}.match.name") if "name" in match else "*"
    if set(match) == {"name"} and not _GLOB.search(pattern):
        return pattern
    drivers = _drivers(match, name)
    if "macaddress" in match and not set(match) - {"macaddress", "driver", "name"}:
        return _by_mac(name, match, drivers)
    if pfs is None and len(drivers) < 2 and not any(_GLOB.search(driver) for driver in drivers) and "[" not in pattern:
        return selector(driver=drivers[0] if drivers else None, netdev=match.get("name")) or None
    found = hardware.by_patterns(pfs or (), pattern, drivers)
    return str(found[0]["netdev"]) if len(found) == 1 else None


def _by_mac(name: str, match: Mapping[str, Any], drivers: Sequence[str]) -> PfName | None:
    """Selector of a PF by its MAC address, as networkd compares it."""
    address = mac(match["macaddress"], f"ethernets.{name}.match.macaddress")
    if len(drivers) > 1 or any(_GLOB.search(driver) for driver in drivers) or "[" in str(match.get("name", "")):
        return None
    return selector(driver=drivers[0] if drivers else None, netdev=match.get("name"), mac=address)


def _drivers(match: Mapping[str, Any], name: str) -> list[str]:
    driver = match.get("driver")
    listed = [driver] if isinstance(driver, str) else listing(driver, f"ethernets.{name}.match.driver")
    return [str(one) for one in listed]


def unknown(entry: Mapping[str, Any], pfs: Sequence[Mapping[str, Any]] | None) -> str:
    match = entry["match"]
    listed = ", ".join(f"{key} {value}" for key, value in match.items())
    if pfs is None:
        return f"which PF fits {listed} is not known, so it is left out; give the host's pfs"
    return f"not exactly one PF of the host fits {listed}, so it is left out"


def vf_id(pf: PfName, name: str, entry: Mapping[str, Any], pfs: Sequence[Mapping[str, Any]] | None) -> int | None:
    """Id of a VF by its interface.

    By the name or MAC address of that, or by udev's name for it: the PF's name with vN for its port.
    """
    match = mapping(entry.get("match"), f"ethernets.{name}.match")
    pattern = str(match.get("name", name if not match else ""))
    names = _names(pf, pfs or ())
    wanted = [vf for one in (pattern, str(entry.get("set-name", ""))) for vf in hardware.vf_of_netdev(pfs or (), one)]
    if set(match) == {"macaddress"}:
        wanted += hardware.vf_of_mac(pfs or (), mac(match["macaddress"], f"ethernets.{name}.match.macaddress"))
    found = {vf for one, vf in wanted if names & hardware.names_of(one)}
    if len(found) == 1:
        return found.pop()
    stems = "|".join(re.escape(re.sub(r"np\d+$", "", one)) for one in sorted(names))
    numbered = re.fullmatch(rf"(?:{stems})v(\d+)", pattern, re.ASCII) if stems else None
    return int(numbered.group(1)) if numbered else None


def _names(pf: PfName, pfs: Sequence[Mapping[str, Any]]) -> set[str]:
    """All names of a PF's interface, as far as they are known."""
    if isinstance(pf, str):
        return {pf}.union(*(hardware.names_of(one) for one in pfs if pf in hardware.names_of(one)))
    address = dict(pf).get("mac")
    found = [one for one in pfs if address and str(one.get("mac")).lower() == address.lower()]
    return hardware.names_of(found[0]) if len(found) == 1 else set()
