# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of what a dry start's command line may have. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from ..._model.errors import SriovError
from .option_value import OptionValue

FLAGS = frozenset({
    "-nodefaults", "-no-user-config", "-enable-kvm", "-no-reboot", "-no-shutdown", "-usb", "-no-acpi", "-no-hpet",
    "-no-fd-bootchk", "-only-migratable", "-win2k-hack",
})  # fmt: skip
"""Options without a value that stay."""
KEPT = frozenset({
    "-m", "-smp", "-cpu", "-numa", "-uuid", "-boot", "-rtc", "-k", "-L", "-bios", "-kernel", "-initrd", "-append",
    "-dtb", "-option-rom", "-smbios", "-acpitable", "-fw_cfg", "-sandbox", "-compat",
})  # fmt: skip
"""Options that stay: they open files for reading at most."""
DROPPED_FLAGS = frozenset({"-S", "-s", "-nographic", "-full-screen", "-mem-prealloc", "-daemonize"})
DROPPED = frozenset({
    "-name", "-display", "-vnc", "-spice", "-monitor", "-qmp", "-qmp-pretty", "-mon", "-gdb", "-pidfile", "-D", "-d",
    "-dfilter", "-trace", "-msg", "-mem-path", "-overcommit", "-action", "-watchdog-action",
    "-incoming",
})  # fmt: skip
"""Monitors, screens, logs, and where memory comes from."""
MACHINE_KEYS = re.compile(
    r"type|accel|kernel[-_]irqchip|vmport|dump-guest-core|mem-merge|usb|nvdimm|nvdimm-persistence|hmat|hpet|smm|acpi|graphics"
    r"|pic|pit|rtc|sata|smbus|i8042|max-ram-below-4g|memory-backend|pflash[01]|suppress-vmdesc|gic-version|virtualization"
    r"|highmem[\w-]*|its|iommu|ras|mte|secure|default[-_]bus[-_]bypass[-_]iommu|x-oem-(table-)?id|fd-bootchk|aes-key-wrap"
    r"|dea-key-wrap|cap-[\w-]+|ic-mode|(smp|boot|memory)(\.[\w-]+)?"
)
"""Keys of -machine.

Others write a file (dumpdtb) or need what is not listed.
"""
OTHER_MACHINES = re.compile("x-remote|xen|nitro")
ACCELERATORS = ("kvm", "tcg")
VGA = ("std", "none", "cirrus", "virtio", "vmware")
USB_DEVICES = ("tablet", "mouse", "keyboard")
DEVICES = re.compile(
    r"pcie-root-port|ioh3420|pcie-pci-bridge|pci-bridge|i82801b11-bridge|x3130-upstream|xio3130-downstream|pxb(-pcie)?"
    r"|virtio-(blk|net|scsi|serial|rng|balloon|keyboard|mouse|tablet|gpu|mem|pmem|iommu|crypto|sound|multitouch)"
    r"(-pci|-device|-ccw)?(-non-transitional|-transitional)?|virtio-vga|virtserialport|virtconsole"
    r"|scsi-(hd|cd)|lsi53c895a|lsi|megasas(-gen2)?|mptsas1068|pvscsi|ahci|ich9-ahci|ide-(hd|cd)|floppy|isa-fdc"
    r"|nvme(-ns|-subsys)?|e1000|e1000e|igb|rtl8139|vmxnet3|pcnet|ne2k_pci|i8255\d\w*|usb-net"
    r"|VGA|cirrus-vga|bochs-display|secondary-vga|vmware-svga|ramfb"
    r"|qemu-xhci|nec-usb-xhci|usb-ehci|pci-ohci|piix[34]-usb-uhci|ich9-usb-\w+|usb-(kbd|mouse|tablet|storage|hub|uas|bot|serial)"
    r"|intel-hda|ich9-intel-hda|hda-(duplex|micro|output)|AC97|ES1370|usb-audio"
    r"|pvpanic(-pci)?|vmgenid|vmcoreinfo|i6300esb|ib700|isa-serial|pci-serial(-2x|-4x)?|isa-parallel|isa-debugcon|isa-debug-exit"
    r"|intel-iommu|amd-iommu|pc-dimm|nvdimm|ivshmem-plain|sclpconsole|[\w.-]+-cpu"
)
"""Drivers that have only what other options give them."""
DROPPED_DEVICES = re.compile(
    r"vfio-[\w-]+|vhost-[\w-]+|tpm-[\w-]+|usb-host|usb-redir|virtio-9p[\w-]*|virtio-input-host[\w-]*|ivshmem-doorbell"
)
"""Drivers that take something of the host, away from others."""
MEMORY = frozenset({"memory-backend-ram", "memory-backend-file", "memory-backend-memfd", "memory-backend-shm"})
MEMORY_KEYS = (
    "qom-type", "id", "size", "host-nodes", "policy", "merge", "dump", "reserve",
    "x-use-canonical-path-for-ramblock-id",
)  # fmt: skip
MEMORY_DROPPED = frozenset({
    "share", "prealloc", "prealloc-threads", "prealloc-context", "mem-path", "discard-data", "align", "pmem",
    "readonly", "rom", "offset", "hugetlb", "hugetlbsize", "seal",
})  # fmt: skip
OBJECTS = {
    "iothread": ("poll-max-ns", "poll-grow", "poll-shrink", "aio-max-batch", "thread-pool-min", "thread-pool-max"),
    "main-loop": ("aio-max-batch", "thread-pool-min", "thread-pool-max"),
    "throttle-group": ("limits", "x-*"),
    "rng-random": ("filename",),
    "rng-builtin": (),
    "rng-egd": ("chardev",),
    "secret": ("data", "file", "format", "keyid", "iv"),
    "tls-creds-x509": ("dir", "endpoint", "verify-peer", "priority", "sanity-check", "passwordid"),
    "tls-creds-psk": ("dir", "endpoint", "verify-peer", "priority", "username"),
    "tls-creds-anon": ("dir", "endpoint", "verify-peer", "priority"),
    "authz-simple": ("identity",),
    "authz-list": ("policy", "rules"),
    "authz-list-file": ("filename", "refresh"),
    "cryptodev-backend-builtin": ("queues", "throttle-bps", "throttle-ops"),
}  # fmt: skip
"""Types of -object with their keys, besides ``qom-type`` and ``id``."""
DROPPED_OBJECTS = re.compile(r"filter-[\w-]+|colo-compare|input-linux|iommufd|thread-context")
"""Types of -object that are dropped.

They write a file, take an input device, or belong to what is dropped.
"""


class NotListedError(SriovError):
    """Something on the command line that is not on the lists.

    A dry start with it could harm the running VM. Its text is the option.
    """


def machine(option: str, text: str) -> list[str]:
    value = OptionValue.parse(text, "type")
    for key in value.items:
        if not MACHINE_KEYS.fullmatch(key):
            raise NotListedError(f"{option} {key}=")
    _require(not OTHER_MACHINES.match(value.get("type")), f"{option} {value.get('type')}")
    for name in value.get("accel").split(":") if value.get("accel") else ():
        _require(name in ACCELERATORS, f"{option} accel={name}")
    return [option, text]


def accel(text: str) -> list[str]:
    name = OptionValue.parse(text, "accel").get("accel")
    _require(name in ACCELERATORS, f"-accel {name}")
    return ["-accel", text]


def chosen(option: str, text: str, listed: Collection[str]) -> list[str]:
    """An option whose value is one of a list."""
    _require(text in listed, f"{option} {text}")
    return [option, text]


def global_property(text: str) -> list[str]:
    """A -global of a device; memory is given by its own options."""
    _require("memory-backend" not in text, f"-global {text}")
    return ["-global", text]


def object_(text: str) -> list[str]:
    """An -object of a listed type with listed keys.

    Memory of any kind becomes plain memory of the same size, none of which is touched.
    """
    value = OptionValue.parse(text, "qom-type")
    kind = value.get("qom-type")
    if kind in MEMORY:
        return ["-object", str(_memory(value, kind))]
    if DROPPED_OBJECTS.fullmatch(kind):
        return []
    _require(kind in OBJECTS, f"-object {kind}")
    for key in value.items:
        _require(_root(key) in ("qom-type", "id", *OBJECTS[kind]) or key.startswith("x-"), f"-object {kind},{key}=")
    return ["-object", text]


def _memory(value: OptionValue, kind: str) -> OptionValue:
    for key in value.items:
        _require(_root(key) in (*MEMORY_KEYS, *MEMORY_DROPPED), f"-object {kind},{key}=")
    _require("size" in value.items, f"-object {kind} without size=")
    kept = value.only(lambda key: _root(key) in MEMORY_KEYS)
    return OptionValue({**kept.items, "qom-type": "memory-backend-ram"}, value.is_json).with_(reserve=False)


def _root(key: str) -> str:
    return key.partition(".")[0]


def _require(listed: bool, what: str) -> None:
    if not listed:
        raise NotListedError(what)
