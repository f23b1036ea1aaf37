# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tap interfaces of a QEMU, and their places in bridges.

The bridge helper, or a script, makes a new one with each start, and knows nothing of what an administrator has set on
the one before: VLANs, isolation, flooding. That is set again before the guest goes on.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._model.errors import BadInputError, KernelError, SriovError
from ..._model.paths import NETDEVS
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from . import argv as _argv

TUN = "/dev/net/tun"
SWITCHES = (
    "hairpin", "guard", "root_block", "fastleave", "learning", "flood", "mcast_flood", "bcast_flood",
    "mcast_to_unicast", "neigh_suppress", "neigh_vlan_suppress", "vlan_tunnel", "isolated", "locked", "mab",
)  # fmt: skip
NUMBERS = ("cost", "priority", "mcast_router")
"""Settings of a port (bridge(8)).

Of the same names in what `bridge -d -j link` shows and `bridge link set` takes.
"""
PVID, UNTAGGED = "PVID", "Egress Untagged"


@dataclass(frozen=True)
class Tap:
    """A tap interface.

    ``name``: empty when the kernel chose it; ``port``: settings in its bridge; ``vlans``: flags by VLAN id.
    """

    name: str
    bridge: str
    mtu: str
    port: Mapping[str, Any] = field(default_factory=dict)
    vlans: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: object, where: str) -> tuple[Tap, ...]:
        """Parse the taps of a manifest; `BadInputError` names the path."""
        keys = {"name": str, "bridge": str, "mtu": str, "port": Mapping, "vlans": Mapping}
        if not isinstance(data, (list, tuple)):
            raise BadInputError(f"{where}: expected a list, found {data!r}")
        for number, item in enumerate(data):
            good = isinstance(item, Mapping) and set(item) == set(keys)
            if not good or not all(isinstance(item[key], kind) for key, kind in keys.items()):
                raise BadInputError(f"{where}[{number}]: expected {', '.join(keys)}, found {item!r}")
        return tuple(cls(**item) for item in data)


@dataclass(frozen=True)
class Taps:
    """Taps of a VM.

    ``problems``: (problem, fix) of what cannot be set again.
    """

    taps: tuple[Tap, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()


def read(sysfs: Sysfs, run: Run, pid: int, argv: Sequence[str]) -> Taps:
    """Read the taps of a running QEMU."""
    try:
        found = {name: _read(sysfs, run, name, _named(argv)) for name in _names(sysfs, pid)}
        problems = [*_mixed_up(found), *(item for name in found for item in _traffic_control(run, name))]
    except (SriovError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Taps((), ((f"its tap interfaces cannot be examined: {error}", "install iproute2 with bridge and tc"),))
    return Taps(tuple(found.values()), tuple(problems))


def set_again(sysfs: Sysfs, run: Run, pid: int, argv: Sequence[str], wanted: Sequence[Tap]) -> None:
    """Set new taps as the former ones were.

    Only what differs. Raises `SriovError` for one that is not there.
    """
    if not wanted:
        return
    now = {name: _read(sysfs, run, name, _named(argv)) for name in _names(sysfs, pid)}
    for tap in wanted:
        name = next((name for name, one in now.items() if _is(tap, one)), None)
        if name is None:
            raise SriovError(f"no tap interface {tap.name or f'in bridge {tap.bridge}'} after the start of its QEMU")
        for command in _commands(name, now.pop(name), tap):
            run(command)


def _is(wanted: Tap, now: Tap) -> bool:
    return wanted.name == now.name and (bool(wanted.name) or wanted.bridge == now.bridge)


def _names(sysfs: Sysfs, pid: int) -> list[str]:
    """Interfaces of its open /dev/net/tun, each once.

    Line iff of proc_pid_fdinfo(5).
    """
    found: dict[str, None] = {}
    for number in sysfs.names(f"/proc/{pid}/fd"):
        if sysfs.target(f"/proc/{pid}/fd/{number}") == TUN:
            text = sysfs.read(f"/proc/{pid}/fdinfo/{number}")
            found.update(dict.fromkeys(re.findall(r"^iff:[ \t]*(\S+)$", text, re.MULTILINE)))
    return list(found)


def _named(argv: Sequence[str]) -> set[str]:
    backends = [_argv.parse(value, "type") for value in _argv.values(argv, "-netdev", "-nic", "-net")]
    return {item["ifname"] for item in backends if "ifname" in item}


def _read(sysfs: Sysfs, run: Run, name: str, named: set[str]) -> Tap:
    links = _json(run, ["bridge", "-d", "-j", "link", "show", "dev", name])
    rows = _json(run, ["bridge", "-j", "vlan", "show", "dev", name])
    port = links[0] if links else {}
    return Tap(
        name=name if name in named else "",
        bridge=sysfs.link(f"{NETDEVS}/{name}/master") or "",
        mtu=_text(sysfs, f"{NETDEVS}/{name}/mtu"),
        port={key: port[key] for key in (*SWITCHES, *NUMBERS) if isinstance(port.get(key), int)},
        vlans={vid: flags for row in rows for one in row.get("vlans", []) for vid, flags in _vlans(one)},
    )


def _vlans(one: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    flags = [flag for flag in one.get("flags", []) if flag in (PVID, UNTAGGED)]
    for vid in range(int(one["vlan"]), int(one.get("vlanEnd", one["vlan"])) + 1):
        yield str(vid), flags


def _json(run: Run, argv: list[str]) -> list[dict[str, Any]]:
    """What a tool shows; nothing at all is an empty list."""
    return [item for item in json.loads(run(argv).strip() or "[]") if item]


def _mixed_up(found: Mapping[str, Tap]) -> Iterator[tuple[str, str]]:
    """Taps in one bridge that differ, without names to tell them apart."""
    unnamed = [tap for tap in found.values() if not tap.name]
    for bridge, number in Counter(tap.bridge for tap in unnamed).items():
        same = [tap for tap in unnamed if tap.bridge == bridge]
        if number > 1 and any(tap != same[0] for tap in same):
            names = ", ".join(name for name, tap in found.items() if tap in same)
            yield f"its taps {names} in bridge {bridge} differ, and have no names of their own", "start it with ifname="


def _traffic_control(run: Run, name: str) -> Iterator[tuple[str, str]]:
    """Queueing disciplines that somebody added; those of the kernel have handle 0."""
    kinds = [one["kind"] for one in _json(run, ["tc", "-j", "qdisc", "show", "dev", name]) if one.get("handle") != "0:"]
    if kinds:
        problem = f"its tap {name} has traffic control ({', '.join(kinds)}), which does not come back"
        yield problem, "limit it elsewhere, or remove it for the update"


def _commands(name: str, now: Tap, wanted: Tap) -> Iterator[list[str]]:
    """Commands that make one tap what another was."""
    if wanted.mtu and wanted.mtu != now.mtu:
        yield ["ip", "link", "set", "dev", name, "mtu", wanted.mtu]
    if wanted.bridge and wanted.bridge != now.bridge:
        yield ["ip", "link", "set", "dev", name, "master", wanted.bridge]
    words = [word for key, value in wanted.port.items() if now.port.get(key) != value for word in _setting(key, value)]
    if words:
        yield ["bridge", "link", "set", "dev", name, *words]
    for vid, flags in wanted.vlans.items():
        if now.vlans.get(vid) != flags:
            more = [word for flag, word in ((PVID, "pvid"), (UNTAGGED, "untagged")) if flag in flags]
            yield ["bridge", "vlan", "add", "dev", name, "vid", vid, *more]
    for vid in now.vlans.keys() - wanted.vlans.keys():
        yield ["bridge", "vlan", "del", "dev", name, "vid", vid]


def _setting(key: str, value: object) -> tuple[str, str]:
    return key, ("on" if value else "off") if key in SWITCHES else str(value)


def _text(sysfs: Sysfs, path: str) -> str:
    try:
        return sysfs.read(path)
    except KernelError:
        return ""
