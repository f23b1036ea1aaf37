# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cost of finding a large host as declared.

Nothing is read twice, nothing for each VF, and no code is imported without need.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import addresses
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.read_once import ReadOnce
from ansible_collections.kvmfleet.sriov.plugins.modules import sriov_pf
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import DEFAULTS, FakePf, FakeVf
from tests.fake.tools.counting import CountingRun, CountingSysfs

INTERFACES = ("vf-id", "stock")
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
PLAIN: dict[str, Any] = {"hardware_vfs": "max", "present_vfs": "all", "drivers_autoprobe": False}

# what is declared of each PF, or of all by a selector; none of it is about VFs one by one
DOCUMENTS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "drivers": {**PLAIN, "vfs": [{"ids": "all", "driver": "vfio-pci"}]},
    "properties": {**PLAIN, "mtu": 1500, "vfs": [{"ids": "all", "driver": "vfio-pci", "vlan": 7, "spoofchk": True}]},
    "derived": {**PLAIN, "vfs": [{"ids": "all", "mac": "hash", "trust": False}]},
}
SELECTORS: dict[str, dict[str, Any]] = {
    "by driver": {"driver": "igb", "all": True},
    "by class": {"class": "ethernet", "all": True},
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as path:
        yield Path(path)


def address(index: int) -> str:
    return f"0000:{2 * index + 1:02x}:00.0"


def large(folder: Path, interface: str, pfs: int, vfs: int) -> FakeHost:
    """A host with all VFs of all PFs bound to vfio-pci."""
    host = FakeHost(folder / f"{interface}-{vfs}", interface, ("igb", "vfio-pci"))
    for index in range(pfs):
        pf = FakePf(address(index), vfs, netdev=f"eth{index}", autoprobe=False, enabled=vfs, offset=128, stride=1)
        pf.vfs = {i: FakeVf(pf.vf_address(i), index * vfs + i, "vfio-pci", "vfio-pci") for i in range(vfs)}
        pf.properties = {i: {**DEFAULTS, "vlan": 7, "mac": addresses.address("hash", i, pf.mac)} for i in range(vfs)}
        host.pfs[pf.address] = pf
    host.draw()
    return host


def checked(
    host: FakeHost, capsys: pytest.CaptureFixture[str], *pfs: dict[str, Any]
) -> tuple[CountingSysfs, CountingRun]:
    """Run the module on a host that is as declared."""
    sysfs, run = CountingSysfs(str(host.root)), CountingRun(host.run)
    with patch_module_args({"pfs": list(pfs)}), pytest.raises(SystemExit):
        sriov_pf.main(sysfs, run)
    result = json.loads(capsys.readouterr().out)
    assert result["changed"] is False, result
    assert (result["steps"], result["times"], "diff" in result) == ([], [], False)
    return sysfs, run


def of_each(host: FakeHost, spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"pf": pf, **spec} for pf in host.pfs]


@pytest.mark.heavy
@pytest.mark.parametrize("interface", INTERFACES)
def test_nothing_is_asked_twice_of_a_large_host(
    folder: Path, capsys: pytest.CaptureFixture[str], interface: str
) -> None:
    host = large(folder, interface, 20, 125)
    own = {f"/sys/bus/pci/devices/{vf.address}" for pf in host.pfs.values() for vf in pf.vfs.values()}
    for specs in (of_each(host, PLAIN), of_each(host, DOCUMENTS["properties"]), [{"pf": SELECTORS["by driver"]}]):
        sysfs, run = checked(host, capsys, *specs)
        assert [what for what, times in (sysfs.asked + run.asked).items() if times > 1] == []
        assert not [path for _kind, path in sysfs.asked if path.startswith(tuple(own))]


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("spec", DOCUMENTS)
def test_reads_do_not_grow_with_vfs(
    folder: Path, capsys: pytest.CaptureFixture[str], interface: str, spec: str
) -> None:
    totals = []
    for vfs in (10, 125):
        host = large(folder, interface, 3, vfs)
        sysfs, run = checked(host, capsys, *of_each(host, DOCUMENTS[spec]))
        assert run.asked.total() <= 1
        totals.append((sysfs.asked.total(), run.asked.total()))
    assert totals[0] == totals[1]


@pytest.mark.parametrize("selector", SELECTORS)
def test_reads_do_not_grow_with_vfs_for_selectors(
    folder: Path, capsys: pytest.CaptureFixture[str], selector: str
) -> None:
    totals = []
    for vfs in (10, 125):
        host = large(folder, "vf-id", 3, vfs)
        sysfs, _run = checked(host, capsys, {"pf": SELECTORS[selector], **DOCUMENTS["drivers"]})
        totals.append(sysfs.asked.total())
    assert totals[0] == totals[1]


@pytest.mark.parametrize("driver", ["default", None])
def test_specs_that_only_vfs_can_answer_read_each_file_once(
    folder: Path, capsys: pytest.CaptureFixture[str], driver: str | None
) -> None:
    """Specifications whose values are in files of each VF.

    They are an override, a table of vectors, an MTU.
    """
    host = FakeHost(folder, "vf-id", ("mlx5_core",))
    pf = host.mlx5()
    host.setup(pf, 8, range(8), "mlx5_core")
    for vf in pf.vfs.values():
        vf.override = None
    host.draw()
    vfs = {"ids": "all", "msix_vectors": 8, "mtu": 1500, **({"driver": driver} if driver else {})}
    sysfs, run = checked(host, capsys, {"pf": pf.address, "eswitch_mode": "legacy", "mtu": 1500, "vfs": [vfs]})
    assert [what for what, times in (sysfs.asked + run.asked).items() if times > 1] == []


NEEDED = {
    "_ansible.module",
    "_ansible.sriov_module",
    "_document.document",
    "_document.id_sets",
    "_document.resolve",
    "_document.shape",
    "_engine.compliance",
    "_engine.converge",
    "_engine.last_apply",
    "_system.update_guard",
    "_model.deadlines",
    "_model.errors",
    "_model.kernel_interface",
    "_model.paths",
    "_model.settings",
    "_model.state",
    "_model.values",
    "_model.vf_ids",
    "_plan.derive",
    "_plan.goal",
    "_plan.plan",
    "_plan.presence",
    "_plan.shortfall",
    "_readers.netdevs",
    "_readers.pfs",
    "_system.blocked",
    "_system.durable",
    "_system.pf_lock",
    "_system.process",
    "_system.read_once",
    "_system.sysfs",
}  # fmt: skip
OF_VFS = {
    "_model.drivers", "_model.eswitch", "_plan.derive_vfs", "_model.properties", "_model.vf_device",
    "_document.owners", "_document.vf_spec",
}  # fmt: skip
"""For `DOCUMENTS['drivers']`."""

PROGRAM = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.modules import sriov_pf
try:
    with patch_module_args(json.loads(sys.argv[2])):
        sriov_pf.main(Sysfs(sys.argv[1]))
finally:
    here = sriov_pf.__name__.replace(".modules.sriov_pf", ".module_utils.")
    print(json.dumps([name[len(here):] for name, module in sys.modules.items()
        if name.startswith(here) and not hasattr(module, '__path__')]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("spec", "allowed"), [(PLAIN, NEEDED), (DOCUMENTS["drivers"], NEEDED | OF_VFS)], ids=["plain", "drivers"]
)
def test_no_more_is_imported_than_an_unchanged_host_needs(
    folder: Path, spec: dict[str, Any], allowed: set[str]
) -> None:
    """The files imported by a run on an unchanged host.

    Ansible compiles a module and all that it imports at each run, so each file here costs time on every host.

    Add a file to these lists only when each run on each host needs it.
    """
    host = large(folder, "vf-id", 2, 4)
    arguments = json.dumps({"pfs": of_each(host, spec)})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(host.root), arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["changed"] is False
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert loaded - allowed == set()
    assert NEEDED - loaded == set()


def test_a_change_is_read_afterwards_not_remembered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cached read of before, and a new reading of the change."""
    host = large(folder, "vf-id", 1, 4)
    pf = host.pfs[address(0)]
    checked(host, capsys, *of_each(host, PLAIN))
    remembered = ReadOnce(host.sysfs)
    assert remembered.read(f"/sys/bus/pci/devices/{pf.address}/sriov_numvfs") == "4"
    nothing = {"pf": pf.address, "hardware_vfs": "0", "present_vfs": "none"}
    with patch_module_args({"pfs": [nothing]}), pytest.raises(SystemExit):
        sriov_pf.main(host.sysfs, host.run)
    assert json.loads(capsys.readouterr().out)["changed"]
    assert remembered.read(f"/sys/bus/pci/devices/{pf.address}/sriov_numvfs") == "4"
    assert pf.enabled == 0
    checked(host, capsys, nothing)
