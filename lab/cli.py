"""``python -m lab``: emulated hypervisors on this machine."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from . import ansible, bootdisk, fleet, guest, host, inventory, kernels, rootfs, vm
from .paths import HERE, RUNS, sockets
from .progress import LabError, say, step


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, text in (
        (
            "build",
            _build,
            "build root file system, boot disk, guest image, collection and kernels, or take them from the cache",
        ),
        ("up", _up, "boot every host of a fleet and write its inventory"),
        (
            "vms",
            _start_vms,
            "start the nested guests of a fleet (their VFs must be declared) and wait for signs of life",
        ),
        ("down", _down, "stop a fleet"),
        ("status", _status, "what runs"),
        ("ssh", _ssh, "a shell, or a command, on one host"),
        ("console", _console, "follow the serial console of one host, from its first line"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=function)
        if name in ("up", "vms", "down", "ssh", "console"):
            command.add_argument("fleet", help="a fleet of lab/fleets/")
        if name in ("ssh", "console"):
            command.add_argument("host")
        if name == "ssh":
            command.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _build(options: argparse.Namespace) -> None:
    rootfs.build()
    bootdisk.build()
    guest.build()
    ansible.install_collection()
    kernels.build()


def _up(options: argparse.Namespace) -> None:
    up(options.fleet)


def up(name: str) -> list[host.Running]:
    """Boot the fleet's hosts at the same time; returns when all take commands and the inventory is written."""
    root = rootfs.build()
    wanted = fleet.load(name)
    hosts = host.running(wanted, root.ssh_key)
    with step(f"boot {len(hosts)} hypervisor(s) of fleet {name}"):
        for entry in hosts:
            host.start(entry, root)
        with ThreadPoolExecutor() as pool:
            for entry, seconds in zip(hosts, pool.map(lambda entry: _ready(entry), hosts)):
                say(f"{entry.host.name}: ssh on 127.0.0.1:{entry.ssh.port} after {seconds:.0f} s")
    say(f"inventory: {inventory.write(wanted, hosts)}")
    return hosts


def _ready(entry: host.Running) -> float:
    """Wait for ssh, then name the host and give its PFs their VLAN interfaces."""
    seconds = entry.ssh.wait()
    lines = [f"{entry.host.pfs[one.pf].address} {one.vlan} {vm.host_address(one)}/24" for one in entry.host.vms]
    vlans = "\n".join([*lines, ""])
    entry.ssh.run(f"echo {entry.host.name} >/etc/hostname; hostname {entry.host.name}; mkdir -p /etc/kvmfleet-lab")
    if lines:
        entry.ssh.run("cat >/etc/kvmfleet-lab/vlans && systemctl restart lab-pf", data=vlans.encode())
    return seconds


def _start_vms(options: argparse.Namespace) -> None:
    start_vms(options.fleet)


def start_vms(name: str) -> None:
    root = rootfs.build()
    wanted = fleet.load(name)
    hosts = [entry for entry in host.running(wanted, root.ssh_key) if entry.host.vms]
    image, initrd = kernels.built("stock").image, guest.build()

    def one(entry: host.Running) -> None:
        vm.install(entry.ssh, image, initrd)
        for guest_vm in entry.host.vms:
            vm.start(entry.ssh, entry.host, guest_vm)
            counter = vm.wait_alive(entry.ssh, guest_vm)
            say(f"{entry.host.name}: VM {guest_vm.name} counts ({counter}) and its ping over the VF is answered")

    with step("start the nested VMs (emulated twice: about a minute)"), ThreadPoolExecutor() as pool:
        list(pool.map(one, hosts))


def _down(options: argparse.Namespace) -> None:
    down(options.fleet)


def down(name: str) -> None:
    wanted = fleet.load(name)
    for entry in host.running(wanted, rootfs.ssh_key()):
        host.stop(entry)
    shutil.rmtree(sockets(name), ignore_errors=True)
    say(f"fleet {name} is down; disks and logs stay in {RUNS / name} until it is started again")


def _status(options: argparse.Namespace) -> None:
    for name in sorted(path.stem for path in (HERE / "fleets").glob("*.yml")):
        for entry in host.running(fleet.load(name), rootfs.ssh_key()):
            pid = entry.pid()
            state = f"runs, pid {pid}, ssh port {entry.ssh.port}" if pid else "down"
            vfs = sum(pf.vfs for pf in entry.host.pfs)
            print(
                f"{name:8} {entry.host.name:8} {len(entry.host.pfs)} PFs {vfs} VFs {len(entry.host.vms)} VMs  {state}"
            )


def _one(options: argparse.Namespace) -> host.Running:
    wanted = fleet.load(options.fleet)
    return host.Running(wanted.name, wanted.host(options.host), rootfs.ssh_key())


def _ssh(options: argparse.Namespace) -> int:
    return subprocess.run(_one(options).ssh.argv(*options.command)).returncode


def _console(options: argparse.Namespace) -> None:
    os.execvp("tail", ["tail", "-n", "+1", "-F", str(_one(options).folder / "console.log")])
