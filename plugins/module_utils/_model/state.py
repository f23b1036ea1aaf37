# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The current state of PFs and VFs, as frozen values."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import BadInputError
from .kernel_interface import INTERFACES, Abilities
from .settings import PfSettings
from .vf_ids import describe

FACTS = ("vendor", "device", "subsystem_vendor", "subsystem_device", "class", "numa_node", "mac")
"""Names of the files with facts about a PF.

Documentation/ABI/testing/sysfs-bus-pci. Read only where needed.
"""

if TYPE_CHECKING:
    from .journal_entry import JournalEntry
    from .link import Link
    from .properties import VfProperties
    from .vf_device import VfDevice

UNBOUND = "unbound"
"""The VF driver "unbound": none is bound, and none binds by itself."""

OPT_OUT = "none"
"""The driver_override of unbound VFs while drivers_autoprobe is on.

Documentation/ABI/testing/sysfs-bus-pci: such a name opts out of driver binding. VFs with drivers_autoprobe off need
none (drivers/pci/pci-driver.c, pci_device_can_probe), and VM managers can bind them then.
"""

NONE: Mapping[Any, Any] = MappingProxyType({})
"""An empty mapping, the default of fields of shared values."""


class VfState(NamedTuple):
    """A VF that is present as a PCI device.

    Missing links are None. No dataclass: a host may have thousands, and a named tuple is made in a quarter of the time.
    """

    address: str
    driver: str | None = None
    driver_override: str | None = None
    iommu_group: str | None = None
    netdev: str | None = None


class PfState(NamedTuple):
    """A PF: ``total`` VFs possible, ``enabled`` in hardware, ``present`` ids.

    ``vfs`` has an entry for each present id whose details were read; ``properties`` for each enabled id, when they were
    read (`_readers.vf_properties.read_vfs`). ``interface`` is a name of `kernel_interface.INTERFACES`; ``netdev`` is
    the first network interface of the PF, None for NVMe and the like, ``netdevs`` all of them; ``offset`` and
    ``stride`` count routing ids and hold while VFs are enabled; ``bus_drivers`` are the PCI drivers registered on the
    host. ``facts`` has those of `FACTS` that were read: ids as sysfs has them (``0x8086``), numa_node as a number, -1
    for none.

    Read where needed (`_readers.details`, `_tools.ip`): ``settings``, ``devices`` of present VFs by id with
    ``total_msix``, the vectors that they share, and ``link``, the network interface.

    ``unfinished``: the journal entry of an unfinished run (`_engine.journal.known`). ``needs_all_vfs``: its driver does
    not support absent VFs, so its ``interface`` is taken to be the stock one (`_engine.all_vf_drivers.known`).

    ``blocked``: the write in progress, perhaps for ever. Then only address, driver, netdev and facts are known.
    ``unreadable``: the error of a file that cannot be read, with what else is known.
    """

    address: str
    total: int
    enabled: int
    present: frozenset[int] = frozenset()
    driver: str | None = None
    netdev: str | None = None
    autoprobe: bool = True
    interface: str = "stock"
    vfs: Mapping[int, VfState] = NONE
    properties: Mapping[int, VfProperties] = NONE
    facts: Mapping[str, str | int] = NONE
    offset: int = 0
    stride: int = 0
    bus_drivers: frozenset[str] = frozenset()
    blocked: str | None = None
    settings: PfSettings = PfSettings()
    devices: Mapping[int, VfDevice] = NONE
    total_msix: int = 0
    link: Link | None = None
    unfinished: JournalEntry | None = None
    needs_all_vfs: bool = False
    netdevs: tuple[str, ...] = ()
    unreadable: str | None = None

    @property
    def abilities(self) -> Abilities:
        return INTERFACES[self.interface].abilities

    def to_dict(self) -> dict[str, Any]:
        """The state for JSON.

        VF ids as keys are texts, sets of ids are lists like ``0-3,200``.
        """
        return {
            "pf": self.address, "netdev": self.netdev, "driver": self.driver, "interface": self.interface,
            "total_vfs": self.total, "hardware_vfs": self.enabled, "present_vfs": describe(self.present),
            "drivers_autoprobe": self.autoprobe, **self.facts, **self.settings.to_dict(),
            "vfs": {str(vf_id): self._vf_dict(vf_id) for vf_id in self._known_ids()},
        }  # fmt: skip

    def _known_ids(self) -> list[int]:
        return sorted(set(self.vfs) | set(self.properties))

    def _vf_dict(self, vf_id: int) -> dict[str, Any]:
        details: dict[str, Any] = {"present": vf_id in self.present}
        if vf_id in self.vfs:
            details.update(self.vfs[vf_id]._asdict())
        if vf_id in self.properties:
            details["properties"] = self.properties[vf_id].to_dict()
        if vf_id in self.devices:
            device = self.devices[vf_id]
            details.update(msix_vectors=device.msix_vectors, mtu=device.mtu)
        return details


_SLOTS = tuple(f"{number >> 3:02x}.{number & 7}" for number in range(256))
"""Device and function by routing id: hosts may have thousands of VFs."""


def vf_address(pf: PfState, vf_id: int) -> str:
    """PCI address of an enabled VF, present or not.

    Raises `BadInputError` for an id that is not enabled. Offset and stride may depend on the number enabled, so the
    address holds while that stays the same.
    """
    if not 0 <= vf_id < pf.enabled:
        raise BadInputError(f"PF {pf.address}: VF {vf_id} is not enabled in hardware ({pf.enabled} are)")
    return vf_addresses(pf.address, pf.offset, pf.stride, frozenset({vf_id}))[vf_id]


@functools.lru_cache(maxsize=64)
def vf_addresses(pf: str, offset: int, stride: int, ids: frozenset[int]) -> Mapping[int, str]:
    """PCI addresses of VFs by id, cached: several readers use the same.

    Routing id of the PF + offset + stride * id (PCIe, SR-IOV, VF Stride).
    """
    domain, bus, slot = pf.split(":")
    device, function = slot.split(".")
    first = (int(bus, 16) << 8 | int(device, 16) << 3 | int(function, 16)) + offset
    routings = {vf_id: first + stride * vf_id for vf_id in ids}
    buses = {number: f"{domain}:{number:02x}:" for number in {routing >> 8 for routing in routings.values()}}
    return {vf_id: buses[routing >> 8] + _SLOTS[routing & 0xFF] for vf_id, routing in routings.items()}
