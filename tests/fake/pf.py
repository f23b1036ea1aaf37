# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PF of the fake host: how it is made and what state it is in."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULTS = {
    "mac": "00:00:00:00:00:00", "vlan": 0, "qos": 0, "spoofchk": True, "trust": False, "link_state": "auto",
    "min_tx_rate": 0, "max_tx_rate": 0,
}  # fmt: skip
"""Properties of a VF as its PF's driver starts with them."""


@dataclass
class FakeVf:
    """A present VF. ``held``: some process has it open, so that taking it away would block for ever.

    ``uppers`` are interfaces above its network interface; ``elsewhere``: that is in another network namespace.
    """

    address: str
    group: int
    driver: str | None = None
    override: str | None = None
    netdev: str | None = None
    held: bool = False
    uppers: frozenset[str] = frozenset()
    elsewhere: bool = False

    def interface_names(self, pf: FakePf) -> list[str]:
        """Of the network interface that the driver of the PF's VFs makes."""
        made = self.driver is not None and self.driver == pf.vf_driver and pf.netdev is not None
        return [self.address.replace(":", "").replace(".", "")] if made else []


@dataclass
class FakePf:
    """``vf_driver`` is what the kernel chooses for its VFs; ``opt_in``: its driver can live with absent VFs.

    ``ignores``: properties that its driver takes and forgets; ``rejects``: properties that it refuses. ``pending``: a
    write that the kernel has blocked; it has this PF's lock. ``ids`` are vendor, device, and those of the subsystem.
    """

    address: str
    total: int = 8
    driver: str | None = "igb"
    netdev: str | None = None
    altname: str | None = None
    vf_driver: str | None = "igbvf"
    offset: int = 384
    stride: int = 2
    opt_in: bool = True
    ignores: frozenset[str] = frozenset()
    rejects: frozenset[str] = frozenset()
    ids: tuple[str, str, str, str] = ("0x8086", "0x10c9", "0x8086", "0xa03c")
    pci_class: str = "0x020000"
    numa_node: int = -1
    enabled: int = 0
    autoprobe: bool = True
    pending: tuple[str, str] | None = None
    up: bool = False
    vfs: dict[int, FakeVf] = field(default_factory=dict)
    properties: dict[int, dict[str, object]] = field(default_factory=dict)

    def vf_address(self, vf_id: int) -> str:
        """Routing id of the PF + offset + stride * id, written anew so that the engine has something to differ from."""
        domain, bus, rest = self.address.split(":")
        device, function = rest.split(".")
        routing = (int(bus, 16) * 32 + int(device, 16)) * 8 + int(function) + self.offset + self.stride * vf_id
        return f"{domain}:{routing // 256:02x}:{routing % 256 // 8:02x}.{routing % 8}"

    def picture(self) -> dict[str, object]:
        """All that an undo must bring back, as one comparable value; IOMMU groups may differ."""
        return {
            "enabled": self.enabled,
            "autoprobe": self.autoprobe,
            "vfs": {i: (vf.address, vf.driver, vf.override) for i, vf in sorted(self.vfs.items())},
            "properties": {i: dict(p) for i, p in sorted(self.properties.items())},
        }
