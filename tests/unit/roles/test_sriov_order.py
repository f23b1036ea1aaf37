# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the role's units in a boot.

They are ordered together with units of distributions that matter. Of those, only what orders them is here, as their
packages have it. All of them at once is more than any host has.
"""

from __future__ import annotations

import graphlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake.linux.units import names, parse, render, unit

APPLY = "kvmfleet-sriov-apply.service"
COME_BACK = "kvmfleet-sriov-come-back.service"
NO, EARLY = "DefaultDependencies=no\n", "DefaultDependencies=no\nBefore=sysinit.target\n"
TARGETS = {
    "local-fs.target": NO,
    "sysinit.target": NO + "After=local-fs.target\nWants=local-fs.target",
    "sockets.target": NO,
    "timers.target": NO,
    "basic.target": NO + "Requires=sysinit.target\nAfter=sysinit.target sockets.target",
    "multi-user.target": NO + "Requires=basic.target\nAfter=basic.target",
    "shutdown.target": NO,
    "network-pre.target": NO,
    "network.target": NO + "After=network-pre.target",
    "network-online.target": NO + "After=network.target",
}
SERVICES = {
    "systemd-modules-load.service": EARLY,
    "systemd-udev-trigger.service": EARLY,
    "systemd-udev-settle.service": EARLY + "After=systemd-udev-trigger.service",
    "systemd-networkd.service": NO + "After=network-pre.target\nBefore=network.target",
    "systemd-networkd-wait-online.service": NO + "After=systemd-networkd.service\nBefore=network-online.target",
    "cloud-init-local.service": EARLY + "Before=network-pre.target",
    "cloud-init.service": EARLY
    + "After=cloud-init-local.service systemd-networkd-wait-online.service networking.service\n"
    + "Before=network-online.target",
    "nftables.service": NO + "Before=network-pre.target",
    "networking.service": NO + "After=local-fs.target network-pre.target\nBefore=network.target",
    "dbus.service": "",
    "NetworkManager.service": "After=network-pre.target dbus.service\nBefore=network.target",
    "wickedd.service": "After=local-fs.target dbus.service network-pre.target\nBefore=network.target",
    "ovsdb-server.service": "After=network-pre.target\nBefore=network.target",
    "ovs-vswitchd.service": "After=ovsdb-server.service network-pre.target systemd-udev-settle.service\n"
    + "Before=network.target",
    "openvswitch-switch.service": "After=ovsdb-server.service ovs-vswitchd.service\nBefore=network.target",
    "libvirtd.service": "After=network.target dbus.service libvirtd.socket",
    "virtqemud.service": "After=network.target dbus.service",
    "containerd.service": "After=network.target local-fs.target",
    "docker.service": "After=network-online.target containerd.service",
    "crio.service": "After=network-online.target",
    "podman-restart.service": "After=network-online.target",
    "kubelet.service": "After=network-online.target",
}
STORAGE = {
    "remote-fs-pre.target": NO,
    "open-iscsi.service": NO + "After=network.target\nBefore=remote-fs-pre.target",
    "rbdmap.service": "After=network-online.target\nBefore=remote-fs.target",
    "srv-images.mount": NO + "After=remote-fs-pre.target network.target\nBefore=remote-fs.target",
}
"""Storage on a network: open-iscsi, ceph, and a mount with _netdev (systemd.mount(5))."""
SOCKETS = {"libvirtd.socket": "Before=libvirtd.service"}

LATER = [name for name in SERVICES if name.split(".")[0] in {
    "systemd-networkd", "cloud-init", "networking", "NetworkManager", "wickedd", "ovsdb-server", "ovs-vswitchd",
    "openvswitch-switch", "libvirtd", "virtqemud", "containerd", "docker", "crio", "podman-restart", "kubelet",
}]  # fmt: skip


def units() -> dict[str, str]:
    """Texts of units by name, with section [Unit] and more."""
    own = [*names("sriov_boot_units"), *names("sriov_metrics_units")]
    peers = {name: f"[Unit]\n{text}\n[Service]\nType=oneshot\nExecStart=/bin/true\n" for name, text in SERVICES.items()}
    peers |= {name: f"[Unit]\n{text}\n[Socket]\nListenStream=/run/x\n" for name, text in SOCKETS.items()}
    peers |= {name: f"[Unit]\n{text}\n" for name, text in TARGETS.items()}
    return {**peers, **{name: render(name, sriov_metrics_folder="/var/lib/metrics") for name in own}}


def edges(found: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of units, the earlier one first.

    Default dependencies are those of systemd.unit, systemd.service, systemd.socket.
    """
    for name, text in found.items():
        one = parse(text)
        yield from ((name, later) for later in one.get("Before", []))
        yield from ((earlier, name) for earlier in one.get("After", []))
        if one.get("DefaultDependencies") != ["no"]:
            yield "sysinit.target", name
            yield ("basic.target", name) if name.endswith(".service") else (name, "sockets.target")


def graph(found: dict[str, str]) -> dict[str, set[str]]:
    """The units that each unit waits for."""
    waits: dict[str, set[str]] = {name: set() for name in found}
    for before, after in edges(found):
        if {before, after} <= set(found):
            waits[after].add(before)
    return waits


def waits_for(waits: dict[str, set[str]], name: str) -> set[str]:
    """The units that a unit waits for, directly or not."""
    found, queue = set[str](), [name]
    while queue:
        more = waits[queue.pop()] - found
        found |= more
        queue += more
    return found


def as_services_are(found: dict[str, str]) -> dict[str, str]:
    """The apply unit with the default dependencies of services.

    That is the fault which these tests must notice.
    """
    return {**found, APPLY: found[APPLY].replace("DefaultDependencies=no\n", "")}


def test_no_cycle() -> None:
    list(graphlib.TopologicalSorter(graph(units())).static_order())
    with pytest.raises(graphlib.CycleError):
        list(graphlib.TopologicalSorter(graph(as_services_are(units()))).static_order())


@pytest.mark.parametrize("name", LATER)
def test_units_that_use_vfs_are_later(name: str) -> None:
    assert APPLY in waits_for(graph(units()), name)


def test_it_waits_for_no_more_than_it_needs() -> None:
    """Two units only: no file systems, no udev settle.

    A local file system may be on a VF.
    """
    before = waits_for(graph(units()), APPLY)
    assert before == {"systemd-modules-load.service", "systemd-udev-trigger.service"}
    assert "kvmfleet-sriov-resume.service" not in unit(APPLY)["After"]


def test_saved_vms_are_tried_again_after_all_that_they_may_need() -> None:
    """Bridges, switches and storage on a network.

    In boots, too, in which nothing asks for network-online.target: a unit that is not started orders nothing.
    """
    found = units() | {"remote-fs.target": f"[Unit]\n{NO}After=remote-fs-pre.target\n"}
    for name, text in STORAGE.items():
        found[name] = f"[Unit]\n{text}\n[Service]\nType=oneshot\nExecStart=/bin/true\n"
    del found["network-online.target"]
    needed = {name for name in LATER if "network-online" not in SERVICES[name] and "libvirt" not in name}
    needed -= {"virtqemud.service", "containerd.service", "cloud-init.service"}
    assert {"systemd-networkd.service", "openvswitch-switch.service", "NetworkManager.service"} <= needed
    assert {*needed, *STORAGE} <= waits_for(graph(found), COME_BACK)


def test_no_boot_waits_for_the_network_because_of_them() -> None:
    """Its program asks for it where a VM is saved."""
    assert not {"Wants", "Requires", "BindsTo", "Requisite"} & set(unit(COME_BACK))


def test_metrics_are_later() -> None:
    assert APPLY in waits_for(graph(units()), "kvmfleet-sriov-metrics.service")


def tree(root: Path, found: dict[str, str]) -> Path:
    """A root with these units, wanted by multi-user.target.

    Those that conflict with the others are left out.
    """
    folder = root / "etc/systemd/system"
    wants = folder / "multi-user.target.wants"
    wants.mkdir(parents=True)
    for name, text in found.items():
        (folder / name).write_text(text)
        if name not in ("multi-user.target", "shutdown.target"):
            (wants / name).symlink_to(f"../{name}")
    for program in ("bin/true", "usr/local/sbin/sriovctl"):
        path = root / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return root


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd judges its own rules: it is not installed")
def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    reports = []
    for name, found in (("good", units()), ("bad", as_services_are(units()))):
        root = tree(tmp_path / name, found)
        command = ["systemd-analyze", f"--root={root}", "--man=no", "verify", "multi-user.target"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        reports.append((done.returncode, done.stdout + done.stderr))
    assert reports[0] == (0, "")
    assert "Found ordering cycle" in reports[1][1]
