# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holders of VFs on a fake host, as files of real ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import FakeHost
    from .pf import FakePf

BUS = "sys/bus/pci/devices"


def put(host: FakeHost, path: str, text: str = "") -> None:
    target = host.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def address_xml(address: str) -> str:
    """An address in libvirt's XML."""
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    return f"<address type='pci' domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/>"


def hostdev(pf: FakePf, vf_id: int) -> str:
    source = f"<driver name='vfio'/><source>{address_xml(pf.vf_address(vf_id))}</source>"
    guest = "<address type='pci' domain='0x0000' bus='0x07' slot='0x00' function='0x0'/>"
    return f"<hostdev mode='subsystem' type='pci' managed='yes'>{source}{guest}</hostdev>"


def domain_xml(name: str, devices: str) -> str:
    xml = f"<domain type='kvm'><name>{name}</name><devices>{devices}</devices></domain>"
    return f"<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE.\n-->\n{xml}\n"


def define(host: FakeHost, name: str, devices: str) -> None:
    """Define a domain for libvirt, running or not."""
    put(host, f"etc/libvirt/qemu/{name}.xml", domain_xml(name, devices))


def start(host: FakeHost, name: str, devices: str, pid: int = 900) -> None:
    """Start a domain: its state file and its process."""
    domain = domain_xml(name, devices).partition("-->\n")[2]
    put(host, f"run/libvirt/qemu/{name}.xml", f"<domstatus state='running' pid='{pid}'>{domain}</domstatus>\n")
    put(host, f"proc/{pid}/comm", "qemu-system-x86\n")


def network(host: FakeHost, name: str, forward: str) -> None:
    put(host, f"etc/libvirt/qemu/networks/{name}.xml", f"<network><name>{name}</name>{forward}</network>")


def enslave(host: FakeHost, pf: FakePf, vf_id: int, upper: str, devtype: str = "") -> None:
    """Put the VF's interface below ``upper``."""
    pf.vfs[vf_id].uppers |= {upper}
    host.draw()
    put(host, f"sys/class/net/{upper}/uevent", (f"DEVTYPE={devtype}\n" if devtype else "") + f"INTERFACE={upper}\n")


def move(host: FakeHost, pf: FakePf, vf_id: int, path: str, name: str = "net1") -> None:
    """Move the VF's interface into another network namespace.

    ``path`` leads to the namespace. The folder ``net`` stays, empty.
    """
    pf.vfs[vf_id].elsewhere = True
    host.draw()
    host.namespaces.setdefault(path, {})[pf.vf_address(vf_id)] = name


def process(host: FakeHost, pid: int | str, comm: str, net: str = "net:[1]", mnt: str = "mnt:[2]") -> None:
    folder = host.root / f"proc/{pid}"
    (folder / "ns").mkdir(parents=True, exist_ok=True)
    (folder / "fd").mkdir(exist_ok=True)
    for kind, target in (("net", net), ("mnt", mnt)):
        os.symlink(target, folder / "ns" / kind)
    put(host, f"proc/{pid}/comm", f"{comm}\n")
    put(host, f"proc/{pid}/cmdline", f"{comm}\0")
    put(host, f"proc/{pid}/mountinfo", "1 0 254:0 / / rw - ext4 /dev/vda rw\n")


def device_file(host: FakeHost, pf: FakePf, vf_id: int, folder: str, number: str, node: str) -> None:
    """Give a VF a character device in ``folder``, with a ``node``."""
    put(host, f"{BUS}/{pf.vf_address(vf_id)}/{folder}/dev", f"{number}\n")
    host.node(node, number)


def opens(host: FakeHost, pid: int, comm: str, target: str) -> None:
    """Have a process with ``target`` open."""
    process(host, pid, comm)
    os.symlink(target, host.root / f"proc/{pid}/fd/9")


def disk(host: FakeHost, pf: FakePf, vf_id: int, *names: str, below: str = "") -> None:
    """Add block devices to the VF's NVMe controller.

    With ``below``, they are below another folder of /sys/devices.
    """
    for minor, name in enumerate(names):
        folder = below or f"pci0000:00/0000:00:01.0/{pf.vf_address(vf_id)}/nvme/nvme1"
        os.makedirs(host.root / "sys/class/block", exist_ok=True)
        real = host.root / "sys/devices" / folder / name
        (real / "holders").mkdir(parents=True)
        (real / "dev").write_text(f"259:{minor}\n")
        os.symlink(f"../../devices/{folder}/{name}", host.root / "sys/class/block" / name)
        put(host, f"dev/{name}")


def mount(host: FakeHost, pid: int | str, device: str, source: str, point: str) -> None:
    """Add a line to the mountinfo of a process."""
    path = host.root / f"proc/{pid}/mountinfo"
    path.write_text(path.read_text() + f"30 1 {device} / {point} rw,noatime shared:1 - ext4 {source} rw\n")
