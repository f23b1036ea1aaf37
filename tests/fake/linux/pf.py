# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PF of the fake host, and its VFs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULTS = {
    "mac": "00:00:00:00:00:00", "vlan": 0, "qos": 0, "vlan_proto": "802.1q", "spoofchk": True, "trust": False,
    "link_state": "auto", "min_tx_rate": 0, "max_tx_rate": 0, "query_rss": False,
    "node_guid": "00:00:00:00:00:00:00:00", "port_guid": "00:00:00:00:00:00:00:00",
}  # fmt: skip
"""Properties of a VF as its PF's driver starts with them."""

MTU, IPOIB_MTU = 1500, 2044
"""Of a network interface that has just come."""


@dataclass
class FakeVf:
    """A present VF; ``in_use``: a process has it open.

    Removing one in use would block for ever. ``uppers`` are interfaces above its network interface; ``elsewhere``: that
    is in another network namespace. ``mtu`` is of that interface too, which comes and goes with its driver, ``mac`` its
    address, ``mac_assigned`` the number that says who has chosen it (NET_ADDR_*). ``name``: what
    it was renamed to.
    """

    address: str
    group: int
    driver: str | None = None
    override: str | None = None
    netdev: str | None = None
    in_use: bool = False
    uppers: frozenset[str] = frozenset()
    elsewhere: bool = False
    mtu: int = MTU
    mac: str = "52:54:00:00:00:02"
    mac_assigned: int = 0
    name: str | None = None

    def interface_names(self, pf: FakePf) -> list[str]:
        """Names of the network interface of the VF's driver; empty without one."""
        made = self.driver is not None and self.driver == pf.vf_driver and pf.netdev is not None
        return [self.name or self.address.replace(":", "").replace(".", "")] if made else []


@dataclass
class FakePf:
    """A PF: its hardware, its driver's abilities, its state.

    ``vf_driver`` is what the kernel chooses for its VFs; ``opt_in``: its driver supports absent VFs. ``ignores``:
    properties that its driver accepts and forgets; ``rejects``: properties that it refuses, with errno; ``unreported``:
    those that it does not report; ``vlan_protos``: VLAN protocols that it supports. ``pending``: a write that the
    kernel has blocked; it has this PF's lock. ``ids`` are vendor, device, and those of the subsystem.

    ``up``: its interface is set up, which the driver needs for ``needs_up``: "enable", and properties of VFs.

    ``needs_addresses``: it refuses addresses of zeros (is_valid_ether_addr).

    ``below``: the device below it, such as virtio3, that is the parent of its interface, ``vf_below`` of those of VFs;
    ``more_netdevs``: further interfaces of it.

    ``link_type``, ``mac`` and ``permanent`` are of its network interface, ``max_mtu`` of VFs' interfaces too.
    ``devlink``: whether devlink knows it; ``eswitch``: its mode, None for a driver without one; ``vfs_first``: its
    driver changes to switchdev only with VFs enabled, as mlx5 once did; ``by_port``: its VFs are configured by
    devlink's ports alone. ``drvinfo``: version and firmware by ETHTOOL_GDRVINFO, None for a driver without it;
    ``versions``: those of the running firmware by devlink; ``controller``: model and firmware of its NVMe controller.
    ``iommu_type`` is of its IOMMU group, None without an IOMMU, ``pcie`` the speed and width of its link.

    ``speed`` of its link in Mbit/s, -1 where it is not known.

    ``busy``: its driver refuses to disable VFs, when they are removed already (the series, patch 25).

    ``total_msix`` vectors are shared out among its VFs, each of which starts with ``default_msix``; ``vectors`` has
    what was written, by VF id.
    """

    address: str
    total: int = 8
    driver: str | None = "igb"
    netdev: str | None = None
    altname: str | None = None
    below: str = ""
    vf_below: str = ""
    more_netdevs: tuple[str, ...] = ()
    vf_driver: str | None = "igbvf"
    offset: int = 384
    stride: int = 2
    opt_in: bool = True
    ignores: frozenset[str] = frozenset()
    rejects: Mapping[str, int] = field(default_factory=dict)
    ids: tuple[str, str, str, str] = ("0x8086", "0x10c9", "0x8086", "0xa03c")
    pci_class: str = "0x020000"
    numa_node: int = -1
    unreported: frozenset[str] = frozenset()
    vlan_protos: tuple[str, ...] = ("802.1q", "802.1ad")
    link_type: str = "ether"
    mac: str = "52:54:00:00:00:01"
    permanent: str | None = None
    mtu: int = MTU
    max_mtu: int = 9216
    devlink: bool = False
    eswitch: str | None = None
    vfs_first: bool = False
    by_port: bool = False
    drvinfo: tuple[str, str] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    controller: tuple[str, str] | None = None
    iommu_type: str | None = "DMA"
    pcie: tuple[str, int] | None = ("8.0 GT/s PCIe", 8)
    busy: bool = False
    total_msix: int = 0
    default_msix: int = 8
    vectors: dict[int, int] = field(default_factory=dict)
    enabled: int = 0
    autoprobe: bool = True
    pending: tuple[str, str] | None = None
    up: bool = False
    speed: int = -1
    needs_addresses: bool = False
    needs_up: frozenset[str] = frozenset()
    vfs: dict[int, FakeVf] = field(default_factory=dict)
    properties: dict[int, dict[str, object]] = field(default_factory=dict)

    def vf_address(self, vf_id: int) -> str:
        """The VF's address, from the PF's routing id, offset and stride.

        Computed apart from the engine's own, so that a fault there shows.
        """
        domain, bus, rest = self.address.split(":")
        device, function = rest.split(".")
        routing = (int(bus, 16) * 32 + int(device, 16)) * 8 + int(function) + self.offset + self.stride * vf_id
        return f"{domain}:{routing // 256:02x}:{routing % 256 // 8:02x}.{routing % 8}"

    def table_size(self, vf_id: int) -> int:
        """The size of a VF's MSI-X table.

        ice adds a vector for itself to the number that was set.
        """
        number = self.vectors.get(vf_id, self.default_msix)
        return number + 1 if self.driver == "ice" and vf_id in self.vectors else number

    def has_netdev(self, vf_id: int) -> bool:
        """Whether the VF has a network interface of its own."""
        return bool(self.vfs[vf_id].interface_names(self))

    def picture(self) -> dict[str, object]:
        """All that an undo must restore, as one comparable value.

        IOMMU groups may differ.
        """
        return {
            "enabled": self.enabled,
            "autoprobe": self.autoprobe,
            "vfs": {i: (vf.address, vf.driver, vf.override) for i, vf in sorted(self.vfs.items())},
            "mtu": (self.mtu, {i: vf.mtu for i, vf in sorted(self.vfs.items()) if self.has_netdev(i)}),
            "names": {i: vf.interface_names(self) for i, vf in sorted(self.vfs.items())},
            "eswitch": self.eswitch,
            "vectors": {i: self.table_size(i) for i in range(self.enabled)},
            "properties": {i: dict(p) for i, p in sorted(self.properties.items())},
        }
