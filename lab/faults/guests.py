"""Guests of one sector on an emulated host."""

from __future__ import annotations

import json
import shlex
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import guest

from ..fleet.fleet import LIBVIRT, Host, Vm
from ..machine import domain
from ..machine import vm as _vm
from ..machine.ssh import Ssh

READ = r"""
import glob, json, os, subprocess
def text(path):
    try:
        return open(path, "rb").read().decode(errors="replace")
    except OSError:
        return ""
vms = {}
for path in glob.glob("/proc/[0-9]*/cmdline"):
    words = text(path).split("\0")
    if os.path.basename(words[0]).startswith("qemu-system") and "-name" in words:
        vms.setdefault(words[words.index("-name") + 1].split(",")[0].removeprefix("guest="), []).append(path)
disks = {}
for path in glob.glob("/var/lib/kvmfleet-lab/*.img"):
    overlay, flat = path[:-4] + ".overlay", "/run/kvmfleet-flat.img"
    if os.path.exists(overlay):
        subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", overlay, flat], check=True)
        path, name = flat, path
    else:
        name = path
    with open(path, "rb") as file:
        file.seek(512)
        disks[os.path.basename(name)[:-4]] = file.read(12).hex()
units = ("kvmfleet-live-update", "kvmfleet-sriov-resume", "kvmfleet-sriov-come-back")
busy = [one for one in units if subprocess.run(["systemctl", "is-active", "--quiet", one]).returncode == 0]
pf = "/sys/bus/pci/devices/PF"
netdev = os.listdir(pf + "/net")[0] if os.path.isdir(pf + "/net") else ""
links = subprocess.run(["ip", "-json", "link", "show", "dev", netdev], capture_output=True, text=True).stdout
vfs = glob.glob(pf + "/virtfn*")
drivers = {os.path.basename(one)[6:]: os.path.basename(os.path.realpath(one + "/driver")) for one in vfs}
vms = {name: len(found) for name, found in vms.items()}
print(json.dumps({"release": os.uname().release, "vms": vms, "disks": disks,
    "status": json.loads(text("/var/lib/kvmfleet-sriov/live-update/status.json") or "null"), "busy": busy,
    "boot": text("/proc/sys/kernel/random/boot_id").strip(), "links": json.loads(links or "[]"), "drivers": drivers}))
"""


@dataclass(frozen=True)
class Seen:
    """What there is on a host."""

    release: str
    boot: str
    phase: str
    busy: tuple[str, ...]
    processes: dict[str, int]
    sectors: dict[str, guest.Sector]
    vfs: dict[int, dict[str, Any]]
    drivers: dict[int, str]


def look(ssh: Ssh, host: Host, timeout_s: float = 60) -> Seen:
    program = READ.replace("PF", host.pfs[0].address)
    found = json.loads(ssh.run("python3 -", data=program.encode(), timeout_s=timeout_s))
    sectors = {name: guest.Sector(*struct.unpack("<3I", bytes.fromhex(text))) for name, text in found["disks"].items()}
    vfs = {vf["vf"]: vf for link in found["links"] for vf in link.get("vfinfo_list", [])}
    return Seen(
        found["release"], found["boot"], (found["status"] or {}).get("phase", ""), tuple(found["busy"]), found["vms"],
        sectors, vfs, {int(number): name for number, name in found["drivers"].items()},
    )  # fmt: skip


def start(ssh: Ssh, host: Host) -> None:
    """Start each VM of the host anew, from a new disk."""
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "disk"
        guest.make(disk)
        for vm in host.vms:
            _vm.end(ssh, vm)
            ssh.run(f"rm -f {_overlay(vm)}")
            ssh.put(disk, _image(vm))
            address = _vm.vf_address(ssh, host, vm)
            if vm.manager == LIBVIRT:
                domain.start(ssh, vm.name, domain.xml(vm.name, 32, address, (), [domain.disk(_image(vm))]), _vm.FOLDER)
                continue
            words = ["systemd-run", "--quiet", f"--unit={_vm.unit(vm)}", "--collect", *argv(vm, address)]
            ssh.run(f"sync; mkdir -p /run/kvmfleet-vm && {shlex.join(words)}")


def _image(vm: Vm) -> str:
    return f"{_vm.FOLDER}/{vm.name}.img"


def _overlay(vm: Vm) -> str:
    """Image of a VM after a snapshot of its disk."""
    return f"{_vm.FOLDER}/{vm.name}.overlay"


def argv(vm: Vm, address: str) -> list[str]:
    """Command line of a guest's QEMU."""
    return [
        "qemu-system-x86_64", "-name", f"guest={vm.name}", "-M", "pc-q35-10.0",
        "-accel", "tcg,thread=single,tb-size=32", "-cpu", "qemu64", "-smp", "1", "-m", "32",
        "-nodefaults", "-no-user-config", "-display", "none",
        "-device", "pcie-root-port,id=slot0,bus=pcie.0,chassis=1,slot=1",
        "-device", f"vfio-pci,id=vf0,bus=slot0,host={address}",
        "-drive", f"file={_vm.FOLDER}/{vm.name}.img,format=raw,if=none,id=d0,file.locking=off",
        "-device", "ide-hd,drive=d0", "-qmp", f"unix:/run/kvmfleet-vm/{vm.name}.qmp,server=on,wait=off",
    ]  # fmt: skip
