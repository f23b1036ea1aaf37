"""Operations on a whole fleet: build, boot, start its VMs, stop."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from .. import playbook
from ..images import bootdisk, guest, rootfs
from ..kernels import packages
from ..kernels.flavour import GUEST, STANDARD
from ..machine import host, vm
from ..paths import RUNS, building, sockets
from ..progress import say, step
from . import fleet, inventory


def build(
    flavours: Collection[str] = (), with_headers: tuple[str, ...] = (), standard: tuple[str, ...] = (*STANDARD, GUEST)
) -> None:
    """Build all parts of fleets, and kernels of more ``flavours``.

    ``with_headers``: flavours whose headers are wanted as well, for modules; ``standard``: those that hosts and their
    VMs have anyhow.
    """
    with building():
        rootfs.build()
        bootdisk.build()
        guest.build()
        playbook.install_collection()
        packages.build(standard, with_headers=with_headers)
        if flavours:
            packages.build(tuple(flavours))


def up(
    name: str, without: Collection[str] = (), roots: Mapping[str, rootfs.RootFs] | None = None
) -> list[host.Running]:
    """Boot the fleet's hosts at the same time.

    Returns when all take commands and the inventory is written. ``without``: names of hosts that stay down.
    ``roots``: root file systems of hosts, by name, that have their own.
    """
    known = fleet.load(name)
    wanted = replace(known, hosts=tuple(one for one in known.hosts if one.name not in without))
    with building():
        own = {one.name: rootfs.build(one.has_libvirt) for one in wanted.hosts} | dict(roots or {})
    hosts = host.running(wanted, rootfs.ssh_key())
    with step(f"boot {len(hosts)} hypervisor(s) of fleet {name}"):
        for entry in hosts:
            host.start(entry, own[entry.host.name])
        with ThreadPoolExecutor() as pool:
            for entry, seconds in zip(hosts, pool.map(lambda entry: _ready(entry), hosts)):
                say(f"{entry.host.name}: ssh on 127.0.0.1:{entry.ssh.port} after {seconds:.0f} s")
    say(f"inventory: {inventory.write(wanted, hosts)}")
    return hosts


def _ready(entry: host.Running) -> float:
    """Wait for ssh, then set hostname and VLAN interfaces of PFs."""
    seconds = entry.wait()
    lines = [f"{entry.host.pfs[one.pf].address} {one.vlan} {vm.host_address(one)}/24" for one in entry.host.vms]
    vlans = "\n".join([*lines, ""])
    entry.ssh.run(f"echo {entry.host.name} >/etc/hostname; hostname {entry.host.name}; mkdir -p /etc/kvmfleet-lab")
    if lines:
        entry.ssh.run("cat >/etc/kvmfleet-lab/vlans && systemctl restart lab-pf", data=vlans.encode())
    return seconds


def start_vms(name: str, flavour: str = GUEST) -> None:
    """Start a fleet's nested VMs, with the kernel of a flavour."""
    wanted = fleet.load(name)
    hosts = [entry for entry in host.running(wanted, rootfs.ssh_key()) if entry.host.vms]
    image, initrd = packages.built(flavour).image, guest.build()

    def one(entry: host.Running) -> None:
        vm.install(entry.ssh, image, initrd)
        for guest_vm in entry.host.vms:
            counter = _start_vm(entry, guest_vm)
            say(f"{entry.host.name}: VM {guest_vm.name} counts ({counter}) and its ping over the VF is answered")

    with step("start the nested VMs (emulated twice: about a minute)"), ThreadPoolExecutor() as pool:
        list(pool.map(one, hosts))


def _start_vm(entry: host.Running, guest_vm: fleet.Vm) -> int:
    """Start a VM, again while it panics; returns its counter."""
    for _attempt in range(2):
        vm.start(entry.ssh, entry.host, guest_vm)
        try:
            return vm.wait_alive(entry.ssh, guest_vm)
        except vm.PanicError as error:
            say(f"{error}\n{entry.host.name}: VM {guest_vm.name} is started again")
            vm.stop(entry.ssh, guest_vm)
    vm.start(entry.ssh, entry.host, guest_vm)
    return vm.wait_alive(entry.ssh, guest_vm)


def down(name: str) -> None:
    wanted = fleet.load(name)
    for entry in host.running(wanted, rootfs.ssh_key()):
        host.stop(entry)
    shutil.rmtree(sockets(name), ignore_errors=True)
    say(f"fleet {name} is down; disks and logs stay in {RUNS / name} until it is started again")
