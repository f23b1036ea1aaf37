# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taps of fake QEMUs in bridges, with the programs bridge and tc.

The answers are those of iproute2 6.1 (bridge/link.c, bridge/vlan.c, tc/tc_qdisc.c).
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError


def new_port() -> dict[str, object]:
    return {"state": "forwarding", "priority": 32, "cost": 100, "hairpin": False, "learning": True, "flood": True,
            "mcast_flood": True, "bcast_flood": True, "isolated": False, "locked": False}  # fmt: skip


@dataclass
class Port:
    """A tap as the bridge helper makes it."""

    bridge: str
    port: dict[str, object] = field(default_factory=new_port)
    vlans: dict[int, list[str]] = field(default_factory=lambda: {1: ["PVID", "Egress Untagged"]})
    qdiscs: list[dict[str, object]] = field(default_factory=lambda: [{"kind": "fq_codel", "handle": "0:"}])


class FakeBridges:
    """``ports``: by tap; ``lost``: new QEMUs make none."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ports: dict[str, Port] = {}
        self.lost = False
        self._numbers = itertools.count()

    def attach(self, pid: int, argv: Sequence[str]) -> None:
        """Make the taps of a QEMU that starts."""
        fds, infos = (self.root / "proc" / str(pid) / name for name in ("fd", "fdinfo"))
        for folder in (fds, infos):
            folder.mkdir(exist_ok=True)
        values = [value for option, value in zip(argv, argv[1:]) if option == "-netdev"]
        for number, value in enumerate(() if self.lost else values):
            item = dict(part.partition("=")[::2] for part in value.split(","))
            if {"tap", "bridge"} & set(item):
                name = item.get("ifname") or f"tap{next(self._numbers)}"
                self.add(name, item.get("br", "br0"))
                (fds / str(20 + number)).symlink_to("/dev/net/tun")
                (infos / str(20 + number)).write_text(f"pos:\t0\nflags:\t02100002\niff:\t{name}\n")

    def add(self, name: str, bridge: str) -> None:
        self.ports[name] = Port(bridge)
        folder = self.root / "sys/class/net" / name
        folder.mkdir(parents=True)
        (folder / "mtu").write_text("1500\n")
        os.symlink(f"../{bridge}", folder / "master")

    def end(self) -> None:
        """All interfaces are gone."""
        for name in self.ports:
            shutil.rmtree(self.root / "sys/class/net" / name)
        self.ports.clear()

    def run(self, words: list[str]) -> str:
        name = words[words.index("dev") + 1]
        if name not in self.ports:
            raise ToolError(words, 1, f'Cannot find device "{name}"')
        port = self.ports[name]
        if words[:3] == ["bridge", "link", "set"]:
            pairs = zip(words[5::2], words[6::2])
            port.port.update((key, {"on": True, "off": False}.get(value, value)) for key, value in pairs)
        elif words[:3] == ["bridge", "vlan", "add"]:
            self._add(port, int(words[6]), words[7:])
        elif words[:3] == ["bridge", "vlan", "del"]:
            del port.vlans[int(words[6])]
        elif "link" in words:
            return json.dumps([{"ifname": name, "master": port.bridge, **port.port}])
        elif "vlan" in words:
            vlans = [{"vlan": vid, **({"flags": flags} if flags else {})} for vid, flags in sorted(port.vlans.items())]
            return json.dumps([{"ifname": name, "vlans": vlans}])
        else:
            return json.dumps(port.qdiscs)
        return ""

    def _add(self, port: Port, vid: int, words: Sequence[str]) -> None:
        """A port has one PVID: another one loses it (net/bridge/br_vlan.c)."""
        if "pvid" in words:
            for flags in port.vlans.values():
                flags[:] = [flag for flag in flags if flag != "PVID"]
        port.vlans[vid] = ["PVID"] * ("pvid" in words) + ["Egress Untagged"] * ("untagged" in words)
