# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains with the guest that knows its own disk, under TCG."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from tests.faults import guest

from .host import WAIT_S, Host

IMAGES = "/images"
XML = """<domain type='qemu'>
<name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='{kind}'/><source file={image}/>
<target dev='vda' bus='virtio'/>
</disk>
{ports}<controller type='usb' model='none'/>{devices}<memballoon model='none'/></devices></domain>
"""
PORTS = "".join(f"<controller type='pci' index='{number}' model='pcie-root-port'/>\n" for number in range(1, 4))


@dataclass(frozen=True)
class Guest:
    """A domain of a test; ``disk`` is its image on this machine."""

    host: Host
    name: str
    uuid: str
    disk: Path
    kind: str = "raw"

    @classmethod
    def made(cls, host: Host, name: str, delay: int = guest.OBEYS) -> Guest:
        one = cls(host, name, str(uuid.uuid4()), host.folder / "images" / f"{uuid.uuid4()}.img")
        guest.make(one.disk, delay)
        return one

    def xml(self, devices: str = "") -> str:
        image = quoteattr(f"{IMAGES}/{self.disk.name}")
        name = escape(self.name)
        return XML.format(name=name, uuid=self.uuid, image=image, kind=self.kind, ports=PORTS, devices=devices)

    def as_qcow2(self) -> Guest:
        """The same with a qcow2, in which nothing is read."""
        image = f"{IMAGES}/{self.disk.stem}.qcow2"
        self.host.run(["qemu-img", "convert", "-O", "qcow2", f"{IMAGES}/{self.disk.name}", image])
        return replace(self, disk=self.disk.with_suffix(".qcow2"), kind="qcow2")

    def define(self, devices: str = "") -> None:
        self.host.virsh("define", self._file(self.xml(devices)))

    def create(self, devices: str = "", *words: str) -> None:
        """Start it as a transient domain."""
        self.host.virsh("create", self._file(self.xml(devices)), *words)

    def run(self, devices: str, transient: bool = False) -> None:
        """Start it, and see it run.

        A persistent one starts with the host.
        """
        if transient:
            self.create(devices)
        else:
            self.define(devices)
            self.host.virsh("autostart", "--domain", self.uuid)
            self.start()
        self.ticks()

    def start(self, *words: str) -> None:
        self.host.virsh("start", self.uuid, *words)

    def state(self) -> str:
        """Its state in libvirt's words."""
        return self.host.virsh("domstate", self.uuid).strip()

    def sector(self) -> guest.Sector:
        return guest.read(self.disk)

    def ticks(self) -> None:
        """Wait until the guest has written once more."""
        before = self.sector().sequence
        self.host.wait(lambda: self.sector().sequence != before, f"tick of {self.name}", WAIT_S)

    def _file(self, text: str) -> str:
        path = self.host.folder / "tmp" / f"{self.uuid}.xml"
        path.write_text(text, encoding="utf-8")
        return f"/tmp/{path.name}"
