"""Files of fleets: their meaning, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.fleet import fleet, inventory
from lab.machine import host as running
from lab.machine import qemu
from lab.paths import HERE
from lab.progress import LabError

VM = {"name": "a", "pf": 0, "vf": 6, "mac": "02:00:00:00:00:01", "vlan": 5}


def one(**host: object) -> fleet.Host:
    return fleet.parse("t", {"hosts": [{"name": "h", "pfs": [{"kind": "igb"}], **host}]}).hosts[0]


@pytest.mark.parametrize("name", sorted(path.stem for path in (HERE / "fleets").glob("*.yml")))
def test_every_fleet_loads(name: str) -> None:
    assert fleet.load(name).hosts


def test_demo_has_what_the_issue_asks_for() -> None:
    for host in fleet.load("demo").hosts:
        assert len(host.pfs) >= 3
        assert sum(pf.vfs for pf in host.pfs) >= 100
        for vm in host.vms:
            assert vm.vf == host.pfs[vm.pf].vfs - 1 > 0


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"pfs": [{"kind": "e1000"}]}, "kind 'e1000'"),
        ({"pfs": [{"kind": "igb", "vfs": 8}]}, "1 to 7 VFs, not 8"),
        ({"pfs": [{"kind": "nvme", "vfs": 0}]}, "1 to 127 VFs, not 0"),
        ({"vms": [VM | {"vf": 7}]}, "VF 7 is not below the 7 VFs"),
        ({"vms": [VM | {"manager": "xen"}]}, "manager 'xen' is not known; known is: libvirt"),
    ],
)
def test_bad_fleets_are_refused(host: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError, match=words):
        one(**host)


def test_unknown_fleet_names_the_known_ones() -> None:
    with pytest.raises(LabError, match="there are: bench, demo, faults, kernels, kills, libvirt, test"):
        fleet.load("nothing")


def test_addresses_follow_the_root_ports() -> None:
    host = one(pfs=[{"kind": "nvme", "vfs": 2, "count": 10}])
    assert [pf.address for pf in host.pfs][::9] == ["0000:01:00.0", "0000:0a:00.0"]


def test_command_line_has_a_port_and_a_function_for_each_pf() -> None:
    host = one(pfs=[{"kind": "igb"}, {"kind": "nvme", "vfs": 3, "count": 9}])
    argv = qemu.hypervisor(host, "tcg", (HERE / "b", HERE / "r"), 2222, HERE, HERE)
    ports = [word for word in argv if word.startswith("pcie-root-port")]
    assert len(ports) == 11
    assert len({word.split("addr=")[1].split(",")[0] for word in ports}) == 11
    assert [word for word in ports if "hotplug=off" not in word] == [ports[-1]]
    assert f"id={qemu.SLOT}," in ports[-1]
    assert sum(word.startswith("nvme,") and "sriov_max_vfs=3," in word for word in argv) == 9
    assert sum(word.startswith("igb,") for word in argv) == 1
    assert "-kernel" not in argv


def test_a_qemu_that_ended_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "RUNS", tmp_path)
    entry = running.Running("test", one(), tmp_path / "key")
    entry.folder.mkdir(parents=True)
    (entry.folder / "host.json").write_text('{"ssh_port": 1}')
    (entry.folder / "qemu.log").write_text("qemu-system-x86_64: -device x: no such device")
    with pytest.raises(LabError, match="has ended: qemu-system-x86_64: -device x"):
        entry.wait()


def test_inventory_declares_the_vf_of_each_vm() -> None:
    variables = inventory.variables(one(vms=[VM]))
    (pf,) = variables["sriov_pfs"]
    assert pf["hardware_vfs"] == 7
    assert pf["vfs"] == [{"ids": "6", "driver": "vfio-pci", "mac": "02:00:00:00:00:01", "vlan": 5, "spoofchk": True}]
    assert variables["live_update_vms"][0]["heartbeat"]["journal_unit"] == "kvmfleet-vm-a.service"
