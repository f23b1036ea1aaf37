"""The Ansible inventory of a running fleet, with variables for roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..machine import vm
from ..machine.host import Running
from ..machine.ssh import OPTIONS
from ..paths import RUNS
from .fleet import Fleet, Host, Vm


def path(fleet: str) -> Path:
    return RUNS / fleet / "inventory.yml"


def write(fleet: Fleet, hosts: list[Running]) -> Path:
    """Write ``build/lab/FLEET/inventory.yml``; the group is ``hypervisors``."""
    entries = {entry.host.name: _connection(entry) | variables(entry.host) for entry in hosts}
    data = {"all": {"children": {"hypervisors": {"hosts": entries}}}}
    target = path(fleet.name)
    target.write_text(yaml.safe_dump(data, sort_keys=False))
    return target


def _connection(entry: Running) -> dict[str, Any]:
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": entry.ssh.port,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(entry.key),
        "ansible_ssh_common_args": " ".join(OPTIONS),
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def variables(host: Host) -> dict[str, Any]:
    """The host document and the facts of VMs, for roles.

    For role ``sriov`` and role ``live_update``.
    """
    return {
        "sriov_pfs": [_pf(host, index) for index in range(len(host.pfs))],
        "live_update_vms": [_vm(entry) for entry in host.vms],
        "live_update_command_line": "pci=sriov_keep_vfs",
    }


def _pf(host: Host, index: int) -> dict[str, Any]:
    pf = host.pfs[index]
    used = [entry for entry in host.vms if entry.pf == index]
    document: dict[str, Any] = {
        "pf": pf.address,
        "hardware_vfs": pf.vfs,
        "present_vfs": "all",
        "drivers_autoprobe": False,
    }
    if used:
        document["vfs"] = [
            {"ids": str(entry.vf), "driver": "vfio-pci", "mac": entry.mac, "vlan": entry.vlan, "spoofchk": True}
            for entry in used
        ]
    return document


def _vm(entry: Vm) -> dict[str, Any]:
    """Annotations of a VM, which its host pings through the VF.

    A nested guest needs most of a minute for its VF.
    """
    return {
        "name": entry.name,
        "heartbeat": {"journal_unit": vm.unit(entry), "pattern": vm.HEARTBEAT.pattern},
        "check": {"ping": vm.guest_address(entry), "from": "host", "within_s": 300},
    }
