# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NICs for a real libvirt, which are VFs for the engine.

There is no VFIO here. At the edge of virsh a NIC with such an alias is shown as a VF, and a VF is attached as a NIC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState

from .host import Host

PF = PfState("0000:04:00.0", 7, 7, frozenset(range(7)), offset=128, stride=2)
ALIAS = "ua-vf-"
NETWORK = "ua-net-"
"""Of a NIC that plays an interface of a network of VFs."""
SHOWN = ("dumpxml", "save-image-dumpxml")


def address(vf_id: int) -> str:
    return f"0000:04:{0x10 + vf_id // 4:02x}.{vf_id % 4 * 2}"


def nic(vf_id: int, alias: str = ALIAS) -> str:
    """The NIC that plays a VF, for a domain's definition."""
    return f"<interface type='user'><model type='virtio'/><alias name='{alias}{_name(address(vf_id))}'/></interface>"


def _name(address: str) -> str:
    return address.replace(":", "-").replace(".", "-")


def draw(host: Host) -> None:
    """Draw the PF and its VFs into the host's /sys."""
    devices = host.folder / "sys/bus/pci/devices"
    (devices / PF.address).mkdir(parents=True, exist_ok=True)
    for vf_id in PF.present:
        folder = devices / address(vf_id)
        if not folder.exists():
            folder.mkdir()
            (folder / "physfn").symlink_to(f"../{PF.address}")


class Edge:
    """Runs programs on the host as the engine asks for them.

    ``before`` and ``after``: what happens once, at the next virsh of that command. ``commands``: of virsh, and of
    systemctl, which is not run.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.before: dict[str, Callable[[], object]] = {}
        self.after: dict[str, Callable[[], object]] = {}
        self.commands: list[str] = []

    def __call__(self, argv: Sequence[str]) -> str:
        command = argv[4] if argv[0] == "virsh" else " ".join(argv)
        self.commands.append(command)
        if argv[0] == "systemctl":
            return ""
        self.before.pop(command, lambda: None)()
        if command == "attach-device":
            path = self.host.folder / argv[7].lstrip("/")
            item = ElementTree.fromstring(path.read_text(encoding="utf-8"))
            _as_nic(item)
            path.write_text(ElementTree.tostring(item, encoding="unicode"), encoding="utf-8")
        if command == "create":
            path = self.host.folder / argv[6].lstrip("/")
            path.write_text(_as_nics(path.read_text(encoding="utf-8")), encoding="utf-8")
        answer = self.host.run(argv)
        self.after.pop(command, lambda: None)()
        return _as_vfs(answer) if command in SHOWN else answer


def _as_vfs(text: str) -> str:
    root = ElementTree.fromstring(text)
    for item in root.findall("devices/interface"):
        alias = item.find("alias")
        name = "" if alias is None else alias.get("name", "")
        if name.startswith(ALIAS):
            item.set("type", "hostdev")
            item.set("managed", "yes")
            item.append(_source(*name[len(ALIAS) :].split("-")))
        elif name.startswith(NETWORK):
            item.set("type", "network")
            item.append(Element("source", {"network": "vfs", "portid": "1"}))
            actual = Element("actual", {"type": "hostdev", "managed": "yes"})
            actual.append(_source(*name[len(NETWORK) :].split("-")))
            item.append(actual)
    return ElementTree.tostring(root, encoding="unicode")


def _source(domain: str, bus: str, slot: str, function: str) -> Element:
    source = Element("source")
    words = {"domain": domain, "bus": bus, "slot": slot, "function": function}
    source.append(Element("address", {"type": "pci", **{key: f"0x{value}" for key, value in words.items()}}))
    return source


def _as_nics(text: str) -> str:
    root = ElementTree.fromstring(text)
    for item in root.findall("devices/interface[@type='hostdev']"):
        _as_nic(item)
    return ElementTree.tostring(root, encoding="unicode")


def _as_nic(item: Element) -> None:
    """Make the NIC that plays the VF at an interface's address.

    libvirt would take any other one for an interface of a network.
    """
    source, alias = item.find("source"), item.find("alias")
    place = None if source is None else source.find("address")
    assert item.get("type") == "hostdev"
    assert source is not None
    assert place is not None
    assert alias is not None
    item.remove(source)
    item.set("type", "user")
    item.attrib.pop("managed", None)
    words = [place.get(key, "").removeprefix("0x") for key in ("domain", "bus", "slot", "function")]
    alias.set("name", ALIAS + "-".join(words))
