# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VF properties through the PF's network interface, as ``ip`` reads and sets them (iproute2, ip/ipaddress.c)."""

from __future__ import annotations

import json
from typing import Any

from ._errors import SriovError, ToolError
from ._process import Run
from ._properties import NAMES, VfProperties

_FLAGS = {True: "on", False: "off"}
_STATES = {"auto": "auto", "enable": "enable", "disable": "disable", "0": "auto", "1": "enable", "2": "disable"}


def read_properties(run: Run, netdev: str) -> dict[int, VfProperties]:
    """Properties of every VF that the driver of ``netdev`` knows, by VF id; what it does not report is None."""
    links = _links(run, ["ip", "-json", "-details", "link", "show", "dev", netdev])
    return {int(vf["vf"]): _properties(vf) for link in links for vf in link.get("vfinfo_list", [])}


def netdev_of(run: Run, name: str) -> str:
    """The interface name behind ``name``, which may be an alternative name; raises `ToolError` when there is none."""
    argv = ["ip", "-json", "link", "show", "dev", name]
    for link in _links(run, argv):
        return str(link["ifname"])
    raise ToolError(argv, 0, "no such interface")


def set_argv(netdev: str, vf_id: int, wanted: VfProperties, found: VfProperties) -> list[str]:
    """The command that brings VF ``vf_id`` from ``found`` to ``wanted``.

    VLAN and QoS are one netlink attribute, so are both rates: where one of a pair changes, the other goes with it.
    """
    full = wanted.over(found)
    argv = ["ip", "link", "set", "dev", netdev, "vf", str(vf_id)]
    if wanted.mac is not None:
        argv += ["mac", wanted.mac]
    if wanted.vlan is not None or wanted.qos is not None:
        argv += ["vlan", str(full.vlan or 0), "qos", str(full.qos or 0)]
    if wanted.min_tx_rate is not None or wanted.max_tx_rate is not None:
        argv += ["max_tx_rate", str(full.max_tx_rate or 0), "min_tx_rate", str(full.min_tx_rate or 0)]
    if wanted.spoofchk is not None:
        argv += ["spoofchk", _FLAGS[wanted.spoofchk]]
    if wanted.trust is not None:
        argv += ["trust", _FLAGS[wanted.trust]]
    if wanted.link_state is not None:
        argv += ["state", wanted.link_state]
    return argv


def _links(run: Run, argv: list[str]) -> list[dict[str, Any]]:
    """The JSON list that ``ip`` prints; older versions leave empty objects in it."""
    try:
        return [link for link in json.loads(run(argv) or "[]") if link]
    except ValueError as error:
        raise SriovError(f"'{' '.join(argv)}' did not answer in JSON: {error}") from error


def _properties(vf: dict[str, Any]) -> VfProperties:
    """One entry of vfinfo_list; VLAN and QoS are left out of it when they are 0, rates when the driver has none."""
    tagged = (vf.get("vlan_list") or [vf])[0]
    rate = vf.get("rate", {})
    values: dict[str, Any] = {
        "mac": str(vf.get("address", vf.get("mac", ""))).lower() or None,
        "vlan": int(tagged.get("vlan", 0)),
        "qos": int(tagged.get("qos", 0)),
        "spoofchk": _flag(vf.get("spoofchk")),
        "trust": _flag(vf.get("trust")),
        "link_state": _STATES.get(str(vf.get("link_state"))),
        "min_tx_rate": int(rate["min_tx"]) if "min_tx" in rate else None,
        "max_tx_rate": int(rate["max_tx"]) if "max_tx" in rate else None,
    }
    return VfProperties(**{name: values[name] for name in NAMES})


def _flag(value: object) -> bool | None:
    """``true``, or ``"on"`` in some versions."""
    return None if value is None else value in (True, "on")
