# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs of stopped VMs of Proxmox VE, and in named folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import vm_folders
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import VM_FOLDERS
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost
from tests.fake.linux.users import address_xml, domain_xml

PF, VF, OTHER = "0000:03:00.0", "0000:04:10.2", "0000:04:10.4"
CONF = vm_folders.PROXMOX.lstrip("/") + "/101.conf"
OFF = {"pf": PF, "hardware_vfs": 0, "present_vfs": "none", "allow_disruptive": True}


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.setup(host.igb(PF), 3, [0, 1, 2])
    users.put(host, "proc/sys/kernel/hostname", "pve1\n")
    users.put(
        host, vm_folders.MAPPINGS.lstrip("/"),
        f"nic\n\tcomment x\n\tmap id=8086:1520,node=pve2,path={OTHER}\n\tmap id=8086:1520,node=pve1,path={VF}\n",
    )  # fmt: skip
    return host


def addresses(host: FakeHost) -> set[str]:
    return {address for one in vm_folders.read(host.sysfs) for address in one.addresses}


# line, addresses
LINES: list[tuple[str, set[str]]] = [
    (f"hostpci0: {VF}", {VF}), (f"hostpci11: {VF[5:]},pcie=1,rombar=0", {VF}), (f"hostpci0: host={VF},x-vga=1", {VF}),
    (f"hostpci0: {VF};{OTHER[5:].upper()},pcie=1", {VF, OTHER}), ("hostpci0: mapping=nic,pcie=1", {VF}),
    ("hostpci0: 0000:04:10", {f"0000:04:10.{function}" for function in range(8)}),
    ("net0: virtio=02:00:00:00:00:01", set()), ("#hostpci0: 0000:04:10.2", set()), ("hostpci0: mapping=no", set()),
    (f"cores: 2\n[snapshot]\nhostpci0: {VF}", set()),
]  # fmt: skip


@pytest.mark.parametrize(("line", "wanted"), LINES)
def test_devices_of_proxmox(host: FakeHost, line: str, wanted: set[str]) -> None:
    users.put(host, CONF, f"name: web\n{line}\nscsi0: x\n")
    assert addresses(host) == wanted


@pytest.mark.parametrize("line", ["hostpci0: x", "hostpci0: host=", "hostpci0: 0000:04:10.9,pcie=1"])
def test_what_is_not_understood_is_refused(host: FakeHost, line: str) -> None:
    users.put(host, CONF, f"{line}\n")
    with pytest.raises(RefusedError, match=f"{CONF} has the device"):
        addresses(host)


def test_a_stopped_vm_keeps_its_vf(host: FakeHost) -> None:
    users.put(host, CONF, f"hostpci0: {VF},pcie=1\n")
    for check in (True, False):
        with pytest.raises(RefusedError, match=r"VF 1 of PF 0000:03:00.0 by Proxmox VM 101 \(defined\)"):
            converge(host.sysfs, host.run, validate({"pfs": [OFF]}), check=check)
    users.put(host, CONF, "cores: 2\n")
    assert converge(host.sysfs, host.run, validate({"pfs": [OFF]})).plan.changed


def test_named_folders(host: FakeHost) -> None:
    """Of libvirt's definitions and of others; one that is gone refuses."""
    source = f"<hostdev mode='subsystem' type='pci'><source>{address_xml(OTHER)}</source></hostdev>"
    users.put(host, "srv/libvirt/web.xml", domain_xml("web", source))
    users.put(host, "srv/qemu/7.conf", f"hostpci0: {VF}\n")
    users.put(host, VM_FOLDERS.lstrip("/"), f"# ansible managed\n/srv/libvirt\n\n/srv/qemu\n{vm_folders.PROXMOX}\n")
    assert addresses(host) == {VF, OTHER}
    for line in ("/srv/gone", "srv/qemu", "x\x1b[2J"):
        users.put(host, VM_FOLDERS.lstrip("/"), f"{line}\n")
        with pytest.raises(RefusedError, match="is no folder of this host: mount it, or take the line out") as raised:
            converge(host.sysfs, host.run, validate({"pfs": [OFF]}))
        assert "\x1b" not in str(raised.value)
