# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VFs of a running QEMU, read from the process itself.

By QOM, so that hot-plugged ones count too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._model.paths import PCI_ADDRESS
from . import argv as _qemu_argv
from .properties import DeviceProperties, get
from .qmp import Qmp

DRIVER = "vfio-pci"
CONTAINERS = ("/machine/peripheral", "/machine/peripheral-anon")
PORTS = ("pcie-root-port", "xio3130-downstream")
REPLAYED = ("rombar", "romfile", "multifunction")


@dataclass(frozen=True)
class GuestDevice:
    """One vfio-pci device.

    ``address``: PCI address on the host; ``handle``: id or QOM path for ``device_del``; ``arguments``: of
    ``device_add``, to plug it again at the same place; ``problem``: the reason why it cannot be unplugged.
    """

    address: str
    handle: str
    path: str
    arguments: Mapping[str, Any]
    hotplugged: bool
    problem: str | None = None


def vfio_devices(qmp: Qmp, argv: Sequence[str]) -> list[GuestDevice]:
    """Read all vfio-pci devices of this QEMU.

    ``argv`` gives the arguments of those that it was started with.
    """
    children = [child for child in _children(qmp) if child[2] in _qemu_argv.VFIO]
    properties = DeviceProperties.read(qmp, DRIVER) if children else DeviceProperties()
    return [_device(qmp, argv, properties, child) for child in children]


def hotplugged_others(qmp: Qmp) -> list[str]:
    """Devices other than VFs that were plugged after the start.

    The command line would not bring them back.
    """
    return [
        name
        for container, name, kind in _children(qmp)
        if kind not in _qemu_argv.VFIO and get(qmp, f"{container}/{name}", "hotplugged") is True
    ]


def _children(qmp: Qmp) -> list[tuple[str, str, str]]:
    children = []
    for container in CONTAINERS:
        for item in qmp.execute("qom-list", path=container):
            if item["type"].startswith("child<"):
                children.append((container, item["name"], item["type"][6:-1]))
    return children


def _device(qmp: Qmp, argv: Sequence[str], properties: DeviceProperties, child: tuple[str, str, str]) -> GuestDevice:
    container, name, kind = child
    path = f"{container}/{name}"
    address = _host_address(get(qmp, path, "host"), get(qmp, path, "sysfsdev"))
    has_id = container == CONTAINERS[0]
    parent_bus = str(get(qmp, path, "parent_bus") or "")
    port = os.path.dirname(parent_bus)
    hotplugged = get(qmp, path, "hotplugged") is True
    given = properties.set_on(qmp, path) if hotplugged else _from_command_line(argv, name if has_id else None, address)
    arguments = {**given, **_place(qmp, path, parent_bus)}
    arguments.update(driver=DRIVER, host=address, id=name if has_id else f"kvmfleet-{address.replace(':', '-')}")
    arguments.pop("sysfsdev", None)
    return GuestDevice(
        address=address,
        handle=name if has_id else path,
        path=path,
        arguments=properties.typed(arguments),
        hotplugged=hotplugged,
        problem=_problem(kind, port, get(qmp, port, "type"), get(qmp, port, "hotplug")),
    )


def _host_address(host: object, sysfsdev: object) -> str:
    """PCI address on the host of a vfio-pci device.

    QEMU keeps ``host`` as given, or ``sysfsdev`` when that named the device (hw/vfio/pci.c).
    """
    text = str(host or "").lower()
    text = text if text.count(":") == 2 else f"0000:{text}"
    return text if re.fullmatch(PCI_ADDRESS, text) else os.path.basename(str(sysfsdev or "")).lower()


def _from_command_line(argv: Sequence[str], name: str | None, address: str) -> dict[str, Any]:
    """Properties of a device's ``-device`` option, by id or host address."""
    for device in _qemu_argv.devices(argv):
        if device.get("driver") not in _qemu_argv.VFIO:
            continue
        if (name is not None and device.get("id") == name) or _host_address(
            device.get("host"), device.get("sysfsdev")
        ) == address:
            return dict(device)
    return {}


def _place(qmp: Qmp, path: str, parent_bus: str) -> dict[str, Any]:
    """Current bus and slot of a device, and its plain properties."""
    place: dict[str, Any] = {"bus": os.path.basename(parent_bus)}
    devfn = get(qmp, path, "addr")
    if isinstance(devfn, int) and devfn >= 0:
        place["addr"] = f"{devfn >> 3:02x}.{devfn & 7}"
    defaults = {"rombar": (-1, 1, None), "romfile": (None, ""), "multifunction": (False, None)}
    for name in REPLAYED:
        value = get(qmp, path, name)
        if value not in defaults[name]:
            place[name] = value
    return place


def _problem(kind: str, port: str, port_type: object, hotplug: object) -> str | None:
    """Reason why ``device_del`` and ``device_add`` cannot move a device.

    A device in a slot of a shared bus may come back at another address.
    """
    if kind == "vfio-pci-nohotplug":
        return "it was started as vfio-pci-nohotplug: use vfio-pci"
    if port_type not in PORTS:
        return f"it sits on {port or 'an unknown bus'}: put it below a pcie-root-port of its own"
    if hotplug is False:
        return f"its port {port} has hotplug=off: start it with hotplug=on"
    return None
