"""Nested guests as domains of libvirt, each with one VF.

They are what the guests in units of their own are, in libvirt's words.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from .ssh import Ssh

EMULATOR = "/usr/bin/qemu-system-x86_64"
PORTS = 3
"""Root ports: one a VF, and free ones for what is plugged."""
CONSOLE = """[Unit]
Description=Console of the nested guest {name}, for the journal
DefaultDependencies=no
After=local-fs.target
Before=kvmfleet-sriov-resume.service
[Service]
ExecStart=/usr/bin/tail --lines=0 --follow=name --retry --quiet {log}
[Install]
WantedBy=sysinit.target
"""
"""Unit of the name that other guests have their own under."""


def xml(
    name: str, memory_mib: int, vf_address: str, boot: Sequence[tuple[str, str]], devices: Sequence[Element]
) -> str:
    """Definition of a guest under TCG.

    ``boot``: names and texts of elements of ``os``; ``devices``: those besides its VF.
    """
    top = Element("domain", type="qemu")
    _texts(top, ("name", name))
    SubElement(top, "memory", unit="MiB").text = str(memory_mib)
    _texts(top, ("vcpu", "1"))
    system = SubElement(top, "os")
    SubElement(system, "type", arch="x86_64", machine="pc-q35-10.0").text = "hvm"
    _texts(system, *boot)
    features = SubElement(top, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    SubElement(SubElement(features, "tcg"), "tb-cache", unit="MiB").text = "64"
    SubElement(SubElement(top, "cpu", mode="custom", match="exact", check="none"), "model").text = "qemu64"
    parts = SubElement(top, "devices")
    _texts(parts, ("emulator", EMULATOR))
    for number in range(1, PORTS + 1):
        SubElement(parts, "controller", type="pci", index=str(number), model="pcie-root-port")
    SubElement(parts, "controller", type="usb", model="none")
    parts.extend(devices)
    parts.append(_vf(vf_address))
    SubElement(parts, "memballoon", model="none")
    return tostring(top, encoding="unicode")


def disk(path: str) -> Element:
    """A raw image on a SATA disk."""
    top = Element("disk", type="file", device="disk")
    SubElement(top, "driver", name="qemu", type="raw")
    SubElement(top, "source", file=path)
    SubElement(top, "target", dev="sda", bus="sata")
    return top


def console(log: str) -> Element:
    """A serial port whose output libvirt appends to a file."""
    top = Element("serial", type="file")
    SubElement(top, "source", path=log, append="on")
    return top


def start(ssh: Ssh, name: str, text: str, folder: str) -> None:
    """Define a domain by its XML, and start it.

    An older one of its name goes.
    """
    path = f"{folder}/{name}.xml"
    end(ssh, name)
    ssh.run(f"cat >{shlex.quote(path)}", data=text.encode())
    ssh.run(f"virsh -q define {shlex.quote(path)} && virsh -q start {shlex.quote(name)}")


def end(ssh: Ssh, name: str) -> None:
    """End a domain, and all that libvirt keeps of it."""
    word = shlex.quote(name)
    ssh.run(
        f"virsh -q destroy {word} 2>/dev/null; virsh -q managedsave-remove {word} 2>/dev/null; "
        f"virsh -q undefine {word} --snapshots-metadata --checkpoints-metadata 2>/dev/null; "
        f'test -z "$(virsh -q list --all --name | grep -Fx {word})"'
    )


def follow(ssh: Ssh, name: str, unit: str, log: str) -> None:
    """Have what the console prints in the journal, also after a boot."""
    text = CONSOLE.format(name=name, log=log)
    ssh.run(f"touch {shlex.quote(log)}; cat >/etc/systemd/system/{unit}", data=text.encode())
    ssh.run(f"systemctl daemon-reload && systemctl enable --quiet --now {unit}")


def _texts(parent: Element, *elements: tuple[str, str]) -> None:
    for name, text in elements:
        SubElement(parent, name).text = text


def _vf(address: str) -> Element:
    """A VF that its host binds to vfio-pci."""
    domain, bus, rest = address.split(":")
    slot, _dot, function = rest.partition(".")
    top = Element("hostdev", mode="subsystem", type="pci", managed="no")
    SubElement(
        SubElement(top, "source"), "address",
        domain=f"0x{domain}", bus=f"0x{bus}", slot=f"0x{slot}", function=f"0x{function}",
    )  # fmt: skip
    return top
