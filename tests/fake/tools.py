# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that the engine runs, on a fake host: `ip link` for VF properties, `modprobe`, `_namespaces_child`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ansible_collections.kvmfleet.sriov.plugins.module_utils._errors import ToolError

from . import links

if TYPE_CHECKING:
    from .host import FakeHost
    from .pf import FakePf

MODULES = ("vfio-pci", "igbvf", "nvme")


class FakeTools:
    """Called like `_process.run`; ``calls`` lists the programs that change something."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.calls: list[list[str]] = []

    def __call__(self, argv: Sequence[str]) -> str:
        words = list(argv)
        with self.host.lock:
            if words[0] == "ip" and (act := links.action(self.host, words)):
                return self._change(words, act)
            if words[:3] == ["ip", "link", "set"]:
                return self._change(words, lambda: self._set(words))
            if words[0] == "modprobe":
                return self._change(words, lambda: self._load(words))
            if "kvmfleet-sriov-namespaces" in words:
                paths = words[words.index("kvmfleet-sriov-namespaces") + 1 :]
                return json.dumps([self.host.namespaces.get(path[len(str(self.host.root)) :]) for path in paths])
            if words[:2] == ["ip", "-json"] and words[-4:-1] == ["link", "show", "dev"]:
                return json.dumps(self._show(words))
        raise ToolError(words, 127, "the fake host has no such program")

    def _change(self, words: list[str], act: object) -> str:
        """A program that fails has already done the first half of its work."""
        assert callable(act)
        try:
            self.host.count(" ".join(words))
        except OSError as error:
            if words[0] == "ip":
                self._set(words[:9])
            raise ToolError(words, 2, f"RTNETLINK answers: {error}") from error
        self.calls.append(words)
        act()
        self.host.draw()
        return ""

    def _load(self, words: list[str]) -> None:
        if words[-1] not in MODULES:
            raise ToolError(words, 1, f"modprobe: FATAL: Module {words[-1]} not found in directory /lib/modules/fake")
        self.host.drivers.add(words[-1])

    def _pf(self, words: list[str], name: str) -> FakePf:
        for pf in self.host.pfs.values():
            if name in (pf.netdev, pf.altname):
                return pf
        raise ToolError(words, 1, f'Device "{name}" does not exist.')

    def _set(self, words: list[str]) -> None:
        """`ip link set dev NAME vf N KEY VALUE ...`, one after the other, as rtnetlink's do_setvfinfo does."""
        pf, vf_id = self._pf(words, words[4]), int(words[6])
        if vf_id not in pf.properties:
            raise ToolError(words, 2, "RTNETLINK answers: Invalid argument")
        for name, value in _pairs(words[7:]):
            if name in pf.rejects:
                raise ToolError(words, 2, "RTNETLINK answers: Operation not supported")
            if name not in pf.ignores:
                pf.properties[vf_id][name] = value

    def _show(self, words: list[str]) -> list[dict[str, object]]:
        pf = self._pf(words, words[-1])
        link: dict[str, object] = {"ifname": pf.netdev, "altnames": [pf.altname] if pf.altname else []}
        if "-details" in words:
            link["vfinfo_list"] = [_vfinfo(vf_id, p) for vf_id, p in sorted(pf.properties.items())]
        return [{}, link]


def _pairs(words: list[str]) -> Iterator[tuple[str, object]]:
    names = {"state": "link_state"}
    for key, value in zip(words[::2], words[1::2], strict=True):
        name = names.get(key, key)
        if name in ("spoofchk", "trust"):
            yield name, {"on": True, "off": False}[value]
        else:
            yield name, int(value) if name in ("vlan", "qos", "min_tx_rate", "max_tx_rate") else value


def _vfinfo(vf_id: int, p: dict[str, object]) -> dict[str, object]:
    """As iproute2 6.x prints it: no vlan and qos when they are 0."""
    tagged = {key: p[key] for key in ("vlan", "qos") if p[key]}
    return {
        "vf": vf_id, "link_type": "ether", "address": p["mac"], "broadcast": "ff:ff:ff:ff:ff:ff", "vlan_list": [tagged],
        "rate": {"max_tx": p["max_tx_rate"], "min_tx": p["min_tx_rate"]}, "spoofchk": p["spoofchk"],
        "link_state": p["link_state"], "trust": p["trust"],
    }  # fmt: skip
