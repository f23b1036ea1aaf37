"""Fleets of emulated hypervisors, read from ``lab/fleets/NAME.yml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from ..paths import HERE
from ..progress import LabError

KINDS = {"igb": 7, "nvme": 127}
LIBVIRT = "libvirt"
"""Manager of VMs.

Without one a VM is a QEMU in a unit of its own.
"""


@dataclass(frozen=True)
class Pf:
    """One emulated physical function behind its own root port.

    ``vfs``: the number of VFs that it can enable.
    """

    kind: str
    vfs: int
    address: str


@dataclass(frozen=True)
class Vm:
    """A nested guest with one VF.

    It owns VF ``vf`` of the host's PF number ``pf`` and pings the PF's side of ``vlan`` through it. ``manager``:
    `LIBVIRT` or none.
    """

    name: str
    pf: int
    vf: int
    mac: str
    vlan: int
    memory_mib: int = 128
    manager: str = ""


@dataclass(frozen=True)
class Host:
    """One emulated hypervisor.

    ``flavour``: the kernel it boots into, its name by default; one that is no flavour leaves it on Debian's kernel.
    """

    name: str
    number: int
    memory_mib: int
    cpus: int
    iommu: bool
    pfs: tuple[Pf, ...]
    vms: tuple[Vm, ...] = field(default=())
    flavour: str = ""

    @property
    def has_libvirt(self) -> bool:
        return any(vm.manager == LIBVIRT for vm in self.vms)


@dataclass(frozen=True)
class Fleet:
    name: str
    hosts: tuple[Host, ...]

    def host(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(f"fleet {self.name} has no host '{name}'; it has: {', '.join(host.name for host in self.hosts)}")


def load(name: str) -> Fleet:
    """Read the fleet of that name.

    Raises LabError naming the fault in its file.
    """
    path = HERE / "fleets" / f"{name}.yml"
    if not path.exists():
        known = ", ".join(sorted(entry.stem for entry in path.parent.glob("*.yml")))
        raise LabError(f"no fleet '{name}' in {path.parent}; there are: {known}")
    return parse(name, yaml.safe_load(path.read_text()))


def parse(name: str, data: dict[str, Any]) -> Fleet:
    return Fleet(name, tuple(_host(number, entry) for number, entry in enumerate(data["hosts"], start=1)))


def _host(number: int, data: dict[str, Any]) -> Host:
    pfs: list[Pf] = []
    for entry in data["pfs"]:
        for _ in range(entry.get("count", 1)):
            pfs.append(_pf(entry, len(pfs)))
    vms = tuple(Vm(**entry) for entry in data.get("vms", []))
    for vm in vms:
        if vm.vf >= pfs[vm.pf].vfs:
            raise LabError(f"VM {vm.name}: VF {vm.vf} is not below the {pfs[vm.pf].vfs} VFs of PF {vm.pf}")
        if vm.manager not in ("", LIBVIRT):
            raise LabError(f"VM {vm.name}: manager '{vm.manager}' is not known; known is: {LIBVIRT}")
    return Host(
        data["name"],
        number,
        data.get("memory_mib", 2560),
        data.get("cpus", 1),
        data.get("iommu", True),
        tuple(pfs),
        vms,
        data.get("flavour", data["name"]),
    )


def _pf(data: dict[str, Any], index: int) -> Pf:
    kind = data["kind"]
    if kind not in KINDS:
        raise LabError(f"PF kind '{kind}' is not known; known are: {', '.join(KINDS)}")
    vfs = data.get("vfs", KINDS[kind])
    if not 1 <= vfs <= KINDS[kind]:
        raise LabError(f"a PF of kind {kind} has 1 to {KINDS[kind]} VFs, not {vfs}")
    # The firmware numbers the buses behind the root ports in their order, from 1.
    return Pf(kind, vfs, f"0000:{index + 1:02x}:00.0")
