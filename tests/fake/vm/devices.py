# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs of a fake QEMU, and what its monitor shows of them.

Plugged, unplugged, or neither, as its script says.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from .monitor import Monitor, QemuRefusalError

if TYPE_CHECKING:
    from .node import FakeNode

PROPERTIES: dict[str, tuple[str, object]] = {
    "host": ("str", None), "sysfsdev": ("str", None), "addr": ("str", -1), "multifunction": ("bool", False),
    "rombar": ("int32", -1), "romfile": ("str", None), "romsize": ("uint32", 4294967295), "bootindex": ("int32", None),
    "failover_pair_id": ("str", None), "acpi-index": ("uint32", 0), "x-no-mmap": ("bool", False), "x-req":
    ("bool", True), "display": ("OnOffAuto", "off"), "x-msix-relocation": ("OffAutoPCIBAR", "off"), "vf-token":
    ("str", None), "x-nv-gpudirect-clique": ("uint8", None), "iommufd": ("link<iommufd>", None),
    "x-balloon-allowed": ("bool", False), "x-max-bounce-buffer-size": ("size", 4096),
}  # fmt: skip
"""Some properties of vfio-pci, as QEMU 10.0.2 lists them.

With type and default, None without one.
"""
UNSET = {"bootindex": -1, "romfile": "", "failover_pair_id": "", "x-nv-gpudirect-clique": 255, "vf-token":
         "00000000-0000-0000-0000-000000000000"}  # fmt: skip
"""Values of properties without a default that nobody has set."""


class Devices(Monitor):
    """Devices of a QEMU, by id.

    ``plugged_later``: ids of those that came by device_add.
    """

    def __init__(self, node: FakeNode, argv: list[str], unit: str, pid: int) -> None:
        super().__init__(node, argv, unit, pid)
        self.devices: dict[str, dict[str, Any]] = {}
        self.pending: set[str] = set()
        self.plugged_later: set[str] = set()

    def end(self) -> None:
        """End the process, and its use of VFs."""
        for device in self.devices.values() if self.alive else ():
            self._hold(device["host"], False)
        super().end()

    def _hold(self, address: str, in_use: bool) -> None:
        vf = self.node.vf(address)
        if vf:
            vf.in_use = in_use

    def _plug(self, device: dict[str, Any]) -> None:
        vf = self.node.vf(device["host"])
        if self.script.busy:
            self.script.busy -= 1
            raise QemuRefusalError(f"vfio {device['host']}: failed to open /dev/vfio/9: Device or resource busy")
        if self.script.add == "fails" or vf is None or vf.driver != "vfio-pci":
            raise QemuRefusalError(f"vfio {device['host']}: no such host device")
        if self.script.add == "lost":
            return
        self.devices[device["id"]] = device
        self._hold(device["host"], True)
        self.node.plugged.append((self.name, device["host"], self.node.properties(device["host"])))

    def do_device_add(self, **device: object) -> None:
        self._plug(device)
        self.plugged_later.add(str(device["id"]))

    def do_device_del(self, id: str) -> None:
        if self.script.blinks:
            self.script.blinks -= 1
            raise QemuRefusalError("Hot-unplug failed: guest is busy (power indicator blinking)")
        if self.script.unplug == "refused":
            self._event("DEVICE_UNPLUG_GUEST_ERROR", device=id, path=f"/machine/peripheral/{id}")
        elif self.script.unplug == "ok":
            self._release(id)
        elif self.script.unplug == "late":
            self.pending.add(id)
            timer = threading.Timer(self.script.late_s, self.answer_late)
            timer.daemon = True
            timer.start()

    def _release(self, id: str) -> None:
        self._hold(self.devices.pop(id)["host"], False)
        self._event("DEVICE_DELETED", path=f"/machine/peripheral/{id}/virtio-backend")
        self._event("DEVICE_DELETED", device=id, path=f"/machine/peripheral/{id}")

    def answer_late(self) -> None:
        """Release what was asked for, as a guest does at last."""
        with self.lock:
            for id in sorted(self.pending) if self.alive else ():
                self._release(id)
            self.pending.clear()
            with contextlib.suppress(OSError, ValueError):
                self._send_events()

    def do_device_list_properties(self, typename: str) -> list[dict[str, Any]]:
        return [
            {"name": name, "type": kind} | ({} if default is None else {"default-value": default})
            for name, (kind, default) in PROPERTIES.items()
        ]

    def do_qom_list(self, path: str) -> list[dict[str, Any]]:
        if path != "/machine/peripheral":
            return [{"name": "type", "type": "string"}]
        kinds = dict.fromkeys(self.devices, "vfio-pci") | dict.fromkeys(self.script.hotplugged, "virtio-net-pci")
        return [{"name": name, "type": f"child<{kind}>"} for name, kind in [("rp1", "pcie-root-port"), *kinds.items()]]

    def do_qom_get(self, path: str, property: str) -> object:
        name = path.rsplit("/", 1)[1]
        if name in self.script.hotplugged and property == "hotplugged":
            return True
        if name.startswith(("rp", "slot")):
            return {"type": "pcie-root-port", "hotplug": True, "hotplugged": False}.get(property)
        device = self.devices.get(name)
        if device is None:
            raise QemuRefusalError(f"Device '{path}' not found")
        bus = device.get("bus", "pcie.0")
        known = {name: device.get(name, UNSET.get(name, default)) for name, (_kind, default) in PROPERTIES.items()}
        known |= {
            "parent_bus": f"/machine/peripheral/{bus}/{bus}", "addr": 0, "hotplugged": name in self.plugged_later,
            "sysfsdev": f"/sys/bus/pci/devices/{device['host']}",
            "iommufd": f"/objects/{device['iommufd']}" if "iommufd" in device else "",
        }  # fmt: skip
        if known.get(property) is None:
            raise QemuRefusalError(f"Property 'vfio-pci.{property}' not found")
        return known[property]
