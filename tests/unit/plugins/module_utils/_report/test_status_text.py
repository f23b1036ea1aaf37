# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`sriovctl status` of several kinds of hosts, character by character."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import DEVICES
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.vf_ids import compress
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report import status as _status
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report import status_text
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.terminal import coloured
from tests.fake.linux.host import FakeHost


def igb(folder: Path) -> tuple[FakeHost, list[dict[str, Any]]]:
    """Two VFs present, one in a VM; a third is missing."""
    host = FakeHost(folder)
    pf = host.igb()
    pf.numa_node = 0
    host.setup(pf, 7, [0, 6], "vfio-pci")
    pf.properties[6].update(mac="02:00:00:00:00:06", vlan=100, trust=True, max_tx_rate=500)
    host.hold(pf, 6)
    pf.vfs[0].driver = None
    host.igb("0000:03:00.1", "eth1").drvinfo = None
    host.draw()
    return host, [{"pf": "eth0", "present_vfs": "0-1,6"}]


def nvme(folder: Path) -> tuple[FakeHost, list[dict[str, Any]]]:
    """2,500 VFs, 250 of them present, most of these for VMs.

    And a PF with every second one of 64 present.
    """
    host = FakeHost(folder)
    small, large = host.nvme("0000:80:00.0", 64), host.nvme("0000:40:00.0", 2500)
    small.numa_node, small.autoprobe = 1, False
    host.setup(small, 64, range(0, 64, 2), "vfio-pci")
    large.numa_node = 0
    host.setup(large, 2500, range(250), "vfio-pci")
    for vf_id in range(200, 250):
        large.vfs[vf_id].driver = "nvme"
    host.hold(large, 7)
    host.hold(large, 199, 99, "web2")
    host.draw()
    spec = {"pf": large.address, "hardware_vfs": "max", "present_vfs": "0-249"}
    return host, [spec, {"pf": small.address, "present_vfs": "0-31"}]


def blocked(folder: Path) -> tuple[FakeHost, list[dict[str, Any]]]:
    host = FakeHost(folder)
    host.setup(host.igb(), 7, [6])
    host.nvme()
    host.block(host.pfs["0000:03:00.0"], f"{DEVICES}/0000:03:00.0/sriov_numvfs", "0")
    return host, [{"pf": "eth0", "hardware_vfs": 0}, {"pf": "0000:04:00.0", "hardware_vfs": 9}]


def stock(folder: Path) -> tuple[FakeHost, list[dict[str, Any]]]:
    """A stock kernel, with all enabled VFs present; no document."""
    host = FakeHost(folder, "stock")
    host.setup(host.igb(), 4, range(4))
    host.setup(host.nvme(), 0)
    return host, []


def mlx5(folder: Path) -> tuple[FakeHost, list[dict[str, Any]]]:
    """A switchdev host without devlink's answer for the second PF."""
    host = FakeHost(folder, drivers=("mlx5_core",))
    pf = host.mlx5("0000:05:00.0", netdev="enp5s0f0np0")
    host.setup(pf, 4, range(4), "mlx5_core")
    pf.eswitch, pf.vectors[3] = "switchdev", 12
    pf.properties[1].update(vlan=100, qos=3, vlan_proto="802.1ad", query_rss=True, spoofchk=False, link_state="enable")
    pf.vfs[2].driver, pf.vfs[2].override = "vfio-pci", "vfio-pci"
    host.draw()
    return host, [{"pf": {"driver": "mlx5_core"}, "hardware_vfs": 4, "eswitch_mode": "switchdev"}]


HOSTS: list[Callable[[Path], tuple[FakeHost, list[dict[str, Any]]]]] = [igb, nvme, blocked, stock, mlx5]
PRINTED = Path(__file__).parent / "status"
"""A file for each host: its PFs, then its VFs."""


def read_status(host: FakeHost, specs: list[dict[str, Any]], vfs: bool) -> dict[str, Any]:
    """The status of a host.

    Process and time of what blocks a PF are made up.
    """
    document = validate({"pfs": specs}) if specs else None
    status = _status.read(host.sysfs, host.run, None, (document, None), "full" if vfs else "summary")
    for pf in status["pfs"]:
        if "blocked" in pf:
            text = re.sub(r" for \d+ s$", " for 312 s", pf["blocked"])
            pf["blocked"] = re.sub(r"^process .* has been", "process 4711 (state D, in vfio_dev) has been", text)
    return status


@pytest.mark.parametrize("make", HOSTS)
def test_hosts(tmp_path: Path, make: Callable[[Path], tuple[FakeHost, list[dict[str, Any]]]]) -> None:
    host, specs = make(tmp_path)
    brief, full = (PRINTED / f"{make.__name__}.txt").read_text().split("\n\n")
    assert status_text.status_lines(read_status(host, specs, False)) == brief.splitlines()
    assert status_text.status_lines(read_status(host, specs, True), vfs=True) == full.splitlines()
    assert (host.sysfs.writes, host.run.calls) == ([], [])


def test_each_file_is_read_once_and_each_program_runs_once(tmp_path: Path) -> None:
    """One reading for the status and for the document's drift."""
    host, specs = mlx5(tmp_path)
    read_status(host, specs, True)
    assert [path for path, times in host.sysfs.reads.items() if times > 1] == []
    assert len(host.run.asked) == len({tuple(words) for words in host.run.asked})


def test_the_summary_reads_less_of_each_vf(tmp_path: Path) -> None:
    host, specs = mlx5(tmp_path)
    read_status(host, specs, False)
    assert not [path for path in host.sysfs.reads if path.endswith("/config")]


def test_colours(tmp_path: Path) -> None:
    """Colours of heads, of drift and of blocked PFs.

    They are on whole lines, so that columns stay where they are.
    """
    host, specs = blocked(tmp_path)
    specs = [{"pf": "0000:04:00.0", "hardware_vfs": 8}, *specs[:1]]
    status = {**read_status(host, specs, False), "notes": ["what to know"]}
    plain, painted = (status_text.status_lines(status, paint=paint) for paint in (lambda x, _style: x, coloured))
    styles = ["1", "33", "31", "33"]
    assert painted == [f"\x1b[{style}m{line}\x1b[0m" for style, line in zip(styles, plain)]


def test_no_pf(tmp_path: Path) -> None:
    status = _status.read(FakeHost(tmp_path).sysfs, FakeHost(tmp_path).run, None, (None, "it is not JSON"), "full")
    first, lacks, note = status_text.status_lines(status)
    assert first == "This host has no PF that supports SR-IOV."
    assert lacks.startswith("Missing: no PCI device of this host offers VFs")
    assert note == "Note: the host document does not fit: it is not JSON"


# ids, how they are shown
LISTS = [
    ({*range(2500)}, "0-2499"),
    ({0, 10, 11, 12, 99}, "0,10-12,99"),
    ({*range(0, 18, 2)}, "0,2,4,6,8,10,12,14,16"),
    ({*range(0, 20, 2)}, "0,2,4,6,8,10,12,14,16,18"),
    ({*range(0, 22, 2)}, "0,2,4,6,8,10,12,.. (11)"),
    ({*range(1000, 2500, 2)}, "1000,1002,1004,.. (750)"),
]


@pytest.mark.parametrize(("ids", "text"), LISTS)
def test_long_lists(ids: set[int], text: str) -> None:
    shown = status_text._shortened(compress(ids))
    assert shown == text
    assert len(shown) <= status_text.WIDEST
