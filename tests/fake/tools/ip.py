# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program `ip` on a fake host, with the kernel's answers.

Only as far as the engine uses it.

Written after iproute2, ip/ipaddress.c (print_vfinfo) and ip/iplink.c (iplink_parse_vf), and Linux, net/core/rtnetlink.c
(do_setvfinfo, rtnl_fill_vfinfo).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError

if TYPE_CHECKING:
    from ..linux.pf import FakePf

FLAGS = {"on": True, "off": False}
ORDER = ("mac", "vlan", "rate", "spoofchk", "link_state", "query_rss", "trust", "node_guid", "port_guid")
"""Order of attributes in one request; the first GUID ends it."""

OF_INFINIBAND = ("link_state", "node_guid", "port_guid")
NOT_IN_SWITCHDEV = {"mlx5_core": ("vlan", "spoofchk", "link_state", "trust"), "ice": ("trust",)}


def set_vf(pf: FakePf, words: list[str], limit: int | None = None) -> None:
    """Carry out `ip link set dev NAME vf N KEY VALUE ...`.

    ``limit``: the number of attributes after which an injected fault ends it.
    """
    vf_id = int(words[6])
    if pf.by_port:
        raise refusal(words, errno.EOPNOTSUPP)
    if vf_id not in pf.properties:
        raise refusal(words, errno.EINVAL)
    attributes = _attributes(pf.properties[vf_id], words[7:])
    for name in [name for name in ORDER if name in attributes][:limit]:
        number = _answer(pf, name, attributes[name])
        if number:
            raise refusal(words, number)
        kept = {key: value for key, value in attributes[name].items() if key not in pf.ignores}
        pf.properties[vf_id].update(kept)
        if name == "node_guid":
            return


def refusal(words: list[str], number: int) -> ToolError:
    return ToolError(words, 2, f"RTNETLINK answers: {os.strerror(number)}")


def link(pf: FakePf, details: bool) -> dict[str, object]:
    """The entry of `ip -json link show dev NAME`."""
    entry: dict[str, object] = {
        "ifindex": 2, "ifname": pf.netdev, "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"], "mtu": pf.mtu,
        "qdisc": "mq", "operstate": "UP", "linkmode": "DEFAULT", "group": "default", "txqlen": 1000,
        "link_type": pf.link_type, "address": pf.mac, "broadcast": "ff:ff:ff:ff:ff:ff",
    }  # fmt: skip
    if pf.permanent and pf.permanent != pf.mac:
        entry["permaddr"] = pf.permanent
    if details:
        vfs = [_vfinfo(pf, vf_id, properties) for vf_id, properties in sorted(pf.properties.items())]
        entry.update({"promiscuity": 0, "min_mtu": 68, "max_mtu": pf.max_mtu})
        entry.update({} if pf.by_port else {"vfinfo_list": vfs})
    return {**entry, "altnames": [pf.altname] if pf.altname else []}


def addresses(of: Mapping[str, list[str]]) -> list[dict[str, object]]:
    """The entries of `ip -json address show`, with link-local addresses."""
    own = [{"family": "inet6", "local": "fe80::5054:ff:fe00:1", "prefixlen": 64, "scope": "link"}]
    rows: list[dict[str, object]] = [{}]
    for name, texts in of.items():
        pairs = [text.split("/") for text in texts]
        info = [{"local": local, "prefixlen": int(length), "scope": "global"} for local, length in pairs]
        rows.append({"ifname": name, "addr_info": [*own, *info]})
    return rows


def _attributes(found: dict[str, object], words: list[str]) -> dict[str, dict[str, object]]:
    """The values of each netlink attribute.

    A rate that is not named is the current one (ipaddr_get_vf_rate).
    """
    attributes: dict[str, dict[str, object]] = {}
    for name, values in _parsed(iter(words)):
        start = {key: found[key] for key in ("min_tx_rate", "max_tx_rate")} if name == "rate" else {}
        attributes[name] = {**start, **attributes.get(name, {}), **values}
    return attributes


def _parsed(words: Iterator[str]) -> Iterator[tuple[str, dict[str, object]]]:
    for key in words:
        value = next(words)
        if key == "vlan":
            yield "vlan", {"vlan": int(value), "qos": 0, "vlan_proto": "802.1q"}
        elif key in ("qos", "proto"):  # only behind a vlan
            yield "vlan", {"qos": int(value)} if key == "qos" else {"vlan_proto": value.lower()}
        elif key in ("min_tx_rate", "max_tx_rate"):
            yield "rate", {key: int(value)}
        elif key in ("spoofchk", "trust", "query_rss"):
            yield key, {key: FLAGS[value]}
        else:
            name = {"state": "link_state"}.get(key, key)
            assert name in ORDER, f"ip would not know '{key}'"
            yield name, {name: value}


def _answer(pf: FakePf, name: str, values: dict[str, object]) -> int:
    """The errno of the driver's answer, 0 for success."""
    infiniband = pf.link_type == "infiniband"
    if infiniband != (name in OF_INFINIBAND) and not (name == "link_state" and not infiniband):
        return errno.EOPNOTSUPP
    if pf.eswitch == "switchdev" and name in NOT_IN_SWITCHDEV.get(pf.driver or "", ()) and values.get("vlan") != 0:
        return errno.EOPNOTSUPP
    if pf.needs_up & set(values) and not pf.up:
        return errno.EINVAL
    if name in ("mac", "node_guid", "port_guid") and pf.needs_addresses and not str(values[name]).strip("0:"):
        return errno.EINVAL
    if name == "vlan" and values["vlan_proto"] not in pf.vlan_protos:
        return errno.EPROTONOSUPPORT
    if name == "rate" and 0 < _number(values["max_tx_rate"]) < _number(values["min_tx_rate"]):
        return errno.EINVAL
    return next((pf.rejects[key] for key, value in values.items() if key in pf.rejects and value != 0), 0)


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def _vfinfo(pf: FakePf, vf_id: int, p: dict[str, object]) -> dict[str, object]:
    """A VF's entry as iproute2 6.x prints it.

    No vlan and qos when they are 0, no protocol when it is the usual one.
    """
    tagged = {key: p[key] for key in ("vlan", "qos") if p[key]}
    if p["vlan_proto"] != "802.1q":
        tagged["protocol"] = str(p["vlan_proto"])
    infiniband = pf.link_type == "infiniband"
    rate = {"tx_rate": p["max_tx_rate"]} if p["max_tx_rate"] else {}
    guids = {"node guid": p["node_guid"], "port guid": p["port_guid"]} if infiniband else {}
    flags = {"spoofchk": "spoofchk", "trust": "trust", "query_rss_en": "query_rss"}
    shown = {key: p[name] for key, name in flags.items() if name not in pf.unreported and not infiniband}
    return {
        "vf": vf_id, "link_type": pf.link_type, "address": pf.mac if infiniband else p["mac"],
        "broadcast": "ff:ff:ff:ff:ff:ff", "vlan_list": [tagged], **rate,
        "rate": {"max_tx": p["max_tx_rate"], "min_tx": p["min_tx_rate"]}, **guids, "link_state": p["link_state"],
        **shown,
    }  # fmt: skip
