# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VF properties through the PF's network interface, as ``ip`` reads and sets them (iproute2, ip/)."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from .._model.errors import DeadlineError, SriovError, ToolError
from .._model.link import INFINIBAND, Link
from .._model.properties import NAMES, VfProperties
from .._system.process import Run

Reading = tuple[Link, "dict[int, VfProperties]"]
"""An interface, and the properties of every VF that its driver knows, by VF id; what is not reported is None."""

_STRANGE = (LookupError, StopIteration, TypeError, ValueError, AttributeError)
"""What an answer of another shape than that of ``ip`` leads to."""

_SHOW = ["ip", "-json", "-details", "link", "show"]
_STATES = {"auto": "auto", "enable": "enable", "disable": "disable", "0": "auto", "1": "enable", "2": "disable"}


def read_link(run: Run, netdev: str) -> Reading:
    argv = [*_SHOW, "dev", netdev]
    links = _links(run, argv)
    try:
        return _reading(next(one for one in links if "ifname" in one))
    except _STRANGE as error:
        raise SriovError(f"'{' '.join(argv)}' did not tell of {netdev} as ip does: {error!r}") from error


def read_links(run: Run, netdevs: Collection[str]) -> dict[str, Reading]:
    """As `read_link`, of several interfaces by one start of ``ip``.

    Those that it does not show, or not as it does, are not among them: what is wrong is told when they are read alone.
    """
    found: dict[str, Reading] = {}
    try:
        for link in _links(run, _SHOW):
            if link.get("ifname") in netdevs:
                found[link["ifname"]] = _reading(link)
    except DeadlineError:
        raise
    except (SriovError, *_STRANGE):  # such as a dump that the kernel has no buffer for, EMSGSIZE
        pass
    return found


def netdev_of(run: Run, name: str) -> str:
    """The interface name behind ``name``, which may be an alternative name; raises `ToolError` when there is none."""
    argv = ["ip", "-json", "link", "show", "dev", name]
    for link in _links(run, argv):
        return str(link["ifname"])
    raise ToolError(argv, 0, "no such interface")


def _links(run: Run, argv: list[str]) -> list[dict[str, Any]]:
    """The JSON list that ``ip`` prints; older versions leave empty objects in it."""
    try:
        return [dict(link) for link in json.loads(run(argv) or "[]") if link]
    except (ValueError, TypeError) as error:
        raise SriovError(f"'{' '.join(argv)}' did not answer in JSON: {error}") from error


def _reading(link: dict[str, Any]) -> Reading:
    return _link(link), {int(vf["vf"]): _properties(vf) for vf in link.get("vfinfo_list", [])}


def _link(link: dict[str, Any]) -> Link:
    """``permaddr`` is there only where it is not the present address."""
    return Link(
        kind=str(link.get("link_type", "ether")),
        permanent=str(link.get("permaddr", link.get("address", ""))).lower() or None,
        min_mtu=int(link.get("min_mtu", 0)),
        max_mtu=int(link.get("max_mtu", 0)),
        altnames=tuple(link.get("altnames", ())),
    )


def _properties(vf: dict[str, Any]) -> VfProperties:
    """One entry of vfinfo_list; VLAN and QoS are left out of it when they are 0, rates when the driver has none.

    The address of an InfiniBand VF is no MAC address, its GUIDs are its own; their keys are written with a space.
    """
    tagged = (vf.get("vlan_list") or [vf])[0]
    rate = vf.get("rate", {})
    ethernet = vf.get("link_type") != INFINIBAND
    values: dict[str, Any] = {
        "mac": (ethernet and str(vf.get("address", vf.get("mac", ""))).lower()) or None,
        "vlan": int(tagged.get("vlan", 0)),
        "qos": int(tagged.get("qos", 0)),
        "vlan_proto": str(tagged.get("protocol", "802.1q")).lower(),
        "spoofchk": _flag(vf.get("spoofchk")),
        "trust": _flag(vf.get("trust")),
        "query_rss": _flag(vf.get("query_rss_en")),
        "link_state": _STATES.get(str(vf.get("link_state"))),
        "min_tx_rate": int(rate["min_tx"]) if "min_tx" in rate else None,
        "max_tx_rate": int(rate["max_tx"]) if "max_tx" in rate else None,
        "node_guid": str(vf.get("node guid", "")).lower() or None,
        "port_guid": str(vf.get("port guid", "")).lower() or None,
    }
    return VfProperties(**{name: values[name] for name in NAMES})


def _flag(value: object) -> bool | None:
    """``true``, or ``"on"`` in some versions."""
    return None if value is None else value in (True, "on")
