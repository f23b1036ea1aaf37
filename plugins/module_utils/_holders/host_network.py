# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own network as the holder of VFs' interfaces."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Iterator
from typing import Any

from .._model.errors import RefusedError, SriovError, ToolError
from .._system import process
from .._system.process import Run
from .._tools import tool_errors

_ADDRESSES = ("ip", "-json", "address", "show")
_ROUTES = ("ip", "-json", "route", "show", "table", "all"), ("ip", "-json", "-6", "route", "show", "table", "all")
_BY_ITSELF = ("local", "broadcast", "anycast", "multicast")
"""Types of routes that the kernel makes of addresses and of interfaces."""


def users(run: Run, netdevs: Collection[str]) -> dict[str, str]:
    """What the host's network uses, in words, of ``netdevs``.

    An address that is not link-local, or a route that is not of the interface itself. Raises `RefusedError` where
    ``ip`` does not say. Trees below another root have no network, so nothing is asked about them.
    """
    found: dict[str, str] = {}
    if not netdevs or run is process.refuse:
        return found
    for names, words in _uses(run):
        for name in names & set(netdevs):
            found.setdefault(name, f"this host's own network: {words} on interface {name}")
    return found


def _uses(run: Run) -> Iterator[tuple[set[str], str]]:
    """Interfaces and words of each address and route."""
    try:
        for link in json.loads(run(_ADDRESSES) or "[]"):
            for address in link.get("addr_info", ()) if link else ():
                if not ipaddress.ip_address(address["local"]).is_link_local:
                    yield {link["ifname"]}, f"address {address['local']}/{address['prefixlen']}"
        for argv in _ROUTES:
            for route in json.loads(_asked(run, argv) or "[]"):
                if route and _counts(route):
                    hops = [route, *route.get("nexthops", ())]
                    yield {str(hop["dev"]) for hop in hops if "dev" in hop}, f"route {route['dst']}"
    except (SriovError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(
            f"whether this host's own network uses VFs cannot be seen: {error!s}; try 'ip -json address show' and "
            "'ip -json route show table all'"
        ) from error


def _asked(run: Run, argv: Collection[str]) -> str:
    try:
        return run(list(argv))
    except ToolError as error:
        if "-6" in argv and tool_errors.errno_of(error.stderr):
            return ""
        raise


def _counts(route: dict[str, Any]) -> bool:
    """Whether somebody wants a route, or an interface has it by itself."""
    if route.get("type", "unicast") in _BY_ITSELF:
        return False
    if "gateway" in route or "via" in route or route["dst"] == "default" or "nexthops" in route:
        return True
    to = ipaddress.ip_network(route["dst"], strict=False)
    return not (to.is_link_local or to.is_multicast)
