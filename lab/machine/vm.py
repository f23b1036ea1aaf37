"""Nested guests, each with one VF through vfio-pci.

Each is a QEMU in a transient unit of its host, or a domain of libvirt.
"""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path

from ..fleet.fleet import LIBVIRT, Host, Vm
from ..progress import LabError
from . import domain
from .ssh import Ssh

FOLDER = "/var/lib/kvmfleet-lab"
HEARTBEAT = re.compile(r"life n=(\d+) boot=(\S+)")

TEXT = "costs $5 or ${HOME} or $HOME"
"""A text that a shell or systemd would change."""


PANIC = "Kernel panic"


class PanicError(LabError):
    """A guest that panicked while it booted.

    Seen once: emulated twice, the window in which an interrupt meets an I/O APIC that is half set up is wide.
    """


def unit(vm: Vm) -> str:
    return f"kvmfleet-vm-{vm.name}.service"


def host_address(vm: Vm) -> str:
    """Address on the PF's side of the VM's VLAN."""
    return f"10.77.{vm.vlan % 256}.1"


def guest_address(vm: Vm) -> str:
    return f"10.77.{vm.vlan % 256}.{10 + vm.vf}"


def argv(vm: Vm, vf_address: str) -> list[str]:
    """Command line of the guest's QEMU, as operators start it.

    Versioned machine type, QMP on a socket, console into the journal.
    """
    return [
        "qemu-system-x86_64", "-name", f"guest={vm.name}", "-M", "pc-q35-10.0",
        "-accel", "tcg,thread=single,tb-size=64", "-cpu", "qemu64", "-smp", "1",
        "-m", str(vm.memory_mib), "-nodefaults", "-no-user-config", "-display", "none",
        "-kernel", f"{FOLDER}/guest-vmlinuz", "-initrd", f"{FOLDER}/guest-initrd", "-append", command_line(vm),
        "-fw_cfg", f"name=opt/kvmfleet.lab/text,string={TEXT}",
        "-device", "pcie-root-port,id=slot0,bus=pcie.0,chassis=1,slot=1",
        "-device", f"vfio-pci,id=vf0,bus=slot0,host={vf_address}",
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
        "-qmp", f"unix:/run/kvmfleet-vm/{vm.name}.qmp,server=on,wait=off",
    ]  # fmt: skip


def command_line(vm: Vm) -> str:
    """Command line of the guest's kernel."""
    words = "console=ttyS0 quiet no_timer_check tsc=reliable random.trust_cpu=on"
    return f"{words} guest.address={guest_address(vm)} guest.peer={host_address(vm)}"


def definition(vm: Vm, vf_address: str) -> str:
    """The guest as a domain of libvirt."""
    boot = (("kernel", f"{FOLDER}/guest-vmlinuz"), ("initrd", f"{FOLDER}/guest-initrd"), ("cmdline", command_line(vm)))
    return domain.xml(vm.name, vm.memory_mib, vf_address, boot, [domain.console(_console(vm))])


def _console(vm: Vm) -> str:
    return f"{FOLDER}/{vm.name}.console"


def install(ssh: Ssh, kernel: Path, initrd: Path) -> None:
    """Copy the guest's kernel and initramfs to the host."""
    ssh.put(kernel, f"{FOLDER}/guest-vmlinuz")
    ssh.put(initrd, f"{FOLDER}/guest-initrd")


def start(ssh: Ssh, host: Host, vm: Vm) -> None:
    """Start the guest in its unit.

    Its VF must be bound to vfio-pci already.
    """
    address = vf_address(ssh, host, vm)
    if vm.manager == LIBVIRT:
        domain.follow(ssh, vm.name, unit(vm), _console(vm))
        domain.start(ssh, vm.name, definition(vm, address), FOLDER)
        return
    words = [word.replace("$", "$$") for word in argv(vm, address)]  # systemd expands $NAME (systemd.service(5))
    command = shlex.join(["systemd-run", "--quiet", f"--unit={unit(vm)}", "--collect", *words])
    ssh.run(f"mkdir -p /run/kvmfleet-vm && {command}")


def vf_address(ssh: Ssh, host: Host, vm: Vm) -> str:
    """PCI address of the guest's VF, which is present."""
    link = f"/sys/bus/pci/devices/{host.pfs[vm.pf].address}/virtfn{vm.vf}"
    return ssh.run(f"basename $(readlink {link})").strip()


def end(ssh: Ssh, vm: Vm) -> None:
    """End the guest's QEMU, if it runs."""
    if vm.manager == LIBVIRT:
        domain.end(ssh, vm.name)
    else:
        ssh.run(f"systemctl stop {unit(vm)} 2>/dev/null || true")


def stop(ssh: Ssh, vm: Vm) -> None:
    """End the guest's QEMU, and forget what its console has shown."""
    end(ssh, vm)
    ssh.run(f"systemctl stop {unit(vm)}; journalctl --quiet --rotate; journalctl --quiet --vacuum-time=1s")


def log(ssh: Ssh, vm: Vm) -> str:
    """The guest's console from the host's journal.

    Lines are ``EPOCH.MICROSECONDS host identifier: text``.
    """
    return ssh.run(f"journalctl --quiet --unit={unit(vm)} --output=short-unix --no-pager")


def wait_alive(ssh: Ssh, vm: Vm, deadline_s: float = 900) -> int:
    """Wait for the guest's first heartbeat and first answered ping.

    Returns the counter of the heartbeat.
    """
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        text = log(ssh, vm)
        heartbeats = HEARTBEAT.findall(text)
        if heartbeats and " bytes from " in text:
            return int(heartbeats[-1][0])
        if PANIC in text:
            raise PanicError(f"VM {vm.name} panicked:\n{text[-1500:]}")
        time.sleep(5)
    raise LabError(
        f"VM {vm.name} shows no heartbeat and no ping within {deadline_s:.0f} s;"
        f" its console ends:\n{log(ssh, vm)[-1500:]}"
    )
