# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document of a host in its current state.

Applied there it has no steps; applied to the same hardware it leads to the same state.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import HostDocument, validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.yaml_text import pfs_lines
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import vf_ids
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.export import Export, export
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.info import gather
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf, FakeVf
from tests.unit.plugins.module_utils._plan.test_properties_of_plans import (
    MEMORY,
    QUICK,
    TOTAL,
    Start,
    host_of,
    specs,
    starts,
)

PF = "0000:03:00.0"


def exported(host: FakeHost, names: list[str] | None = None) -> Export:
    return export(gather(host.sysfs, host.run, names), untouched=names is not None)


def make(folder: Path, interface: str = "vf-id") -> tuple[FakeHost, FakePf]:
    host = FakeHost(folder / "root", interface)
    return host, host.igb(PF)


def test_a_host_in_use(tmp_path: Path) -> None:
    host, pf = make(tmp_path)
    host.nvme("0000:04:00.0")
    host.setup(pf, 7, [0, 1, 6], "vfio-pci")
    pf.autoprobe = False
    pf.properties[6].update(mac="02:00:00:00:00:06", vlan=100, qos=2, trust=True, max_tx_rate=500, spoofchk=False)
    pf.properties[3].update(link_state="disable")
    host.draw()
    found = exported(host)
    assert found.notices == ()
    assert found.document.to_dict()["pfs"] == [
        {
            "pf": PF,
            "hardware_vfs": 7,
            "present_vfs": "0-1,6",
            "drivers_autoprobe": False,
            "vfs": [
                {"ids": "0-5", "spoofchk": True},
                {"ids": "0-1,6", "driver": "vfio-pci"},
                {"ids": "3", "link_state": "disable"},
                {
                    "ids": "6", "mac": "02:00:00:00:00:06", "vlan": 100, "qos": 2, "spoofchk": False, "trust": True,
                    "max_tx_rate": 500,
                },
            ],
        }
    ]  # fmt: skip


def test_pfs_without_vfs_are_left_out_unless_named(tmp_path: Path) -> None:
    host, pf = make(tmp_path)
    assert exported(host).document == HostDocument()
    named = exported(host, ["eth0"]).document.to_dict()["pfs"]
    assert named == [{"pf": PF, "hardware_vfs": 0, "present_vfs": "none", "drivers_autoprobe": True}]
    pf.autoprobe = False
    host.draw()
    assert exported(host).document.to_dict()["pfs"] == [{**named[0], "drivers_autoprobe": False}]
    pf.autoprobe, pf.mtu = True, 9000
    host.draw()
    assert exported(host).document.to_dict()["pfs"] == [{**named[0], "mtu": 9000}]


def bound(driver: str | None, override: str | None) -> FakeVf:
    return FakeVf("0000:04:10.0", 1, driver, override)


# driver, driver_override and autoprobe of a VF; the driver that is declared, words of the notice
DRIVERS: list[tuple[str | None, str | None, bool, str | None, str | None]] = [
    ("igbvf", None, True, None, None),
    ("igbvf", None, False, "igbvf", None),
    ("igbvf", "igbvf", True, "igbvf", None),
    ("vfio-pci", "vfio-pci", False, "vfio-pci", None),
    ("vfio-pci", None, True, "vfio-pci", None),
    ("igb_uio", None, True, "igb_uio", None),
    (None, None, False, None, None),
    (None, None, True, None, "VFs 0 have no driver though autoprobe is on"),
    (None, "vfio-pci", False, None, "VFs 0 have driver_override vfio-pci and no driver"),
    (None, "none", True, "unbound", None),
    (None, "none", False, None, "VFs 0 have driver_override none and no driver"),
    ("igbvf", "vfio-pci", True, "igbvf", "VFs 0 are bound to igbvf with driver_override vfio-pci"),
]


@pytest.mark.parametrize(("driver", "override", "autoprobe", "declared", "words"), DRIVERS)
def test_drivers(
    tmp_path: Path, driver: str | None, override: str | None, autoprobe: bool, declared: str | None, words: str | None
) -> None:
    host, pf = make(tmp_path)
    pf.netdev, pf.autoprobe = None, autoprobe
    host.drivers |= {"vfio-pci", "igb_uio"}
    host.setup(pf, 1, [0])
    pf.vfs[0].driver, pf.vfs[0].override = driver, override
    host.draw()
    found = exported(host)
    assert found.document.to_dict()["pfs"][0].get("vfs") == (declared and [{"ids": "0", "driver": declared}])
    assert (words is None, len(found.notices)) == (not found.notices, 0 if words is None else 1)
    assert words is None or words in found.notices[0]
    assert not converge(host.sysfs, host.run, found.document, check=True).plan.steps


def test_what_cannot_be_declared_is_reported(tmp_path: Path) -> None:
    host, pf = make(tmp_path, "stock")
    host.setup(pf, 3, [0, 2], "igbvf")
    for vf_id in (1, 2):
        pf.properties[vf_id]["qos"] = 4
    assert exported(host).notices == (
        f"PF {PF}: VFs 1-2 have qos 4 without a VLAN, which cannot be declared",
        f"PF {PF}: VFs 1 are absent, but 'stock' can only have all VFs present",
    )


def test_yaml_is_the_variable_of_the_role(tmp_path: Path) -> None:
    host, pf = make(tmp_path)
    assert yaml.safe_load("\n".join(pfs_lines(HostDocument()))) == {"sriov_pfs": []}
    host.setup(pf, 7, [0, 6], "vfio-pci")
    pf.properties[6].update(mac="02:00:00:00:00:06")
    host.setup(host.nvme("0000:04:00.0"), 8)
    document = exported(host).document
    assert yaml.safe_load("\n".join(pfs_lines(document))) == {"sriov_pfs": document.to_dict()["pfs"]}
    assert pfs_lines(document)[:3] == ["sriov_pfs:", f'  - pf: "{PF}"', "    hardware_vfs: 7"]


# kind of PF, what is declared, what export must say of the PF beside numbers, and of some VFs
KINDS: list[tuple[str, dict[str, Any], dict[str, Any], dict[int, dict[str, Any]]]] = [
    (
        "mlx5",
        {"eswitch_mode": "switchdev", "mtu": 9000, "vfs": [{"ids": "0-1", "mac": "02:00:00:00:00:10+id"}]},
        {"eswitch_mode": "switchdev", "mtu": 9000},
        {0: {"mac": "02:00:00:00:00:10+id"}, 1: {"mac": "02:00:00:00:00:10+id"}},
    ),
    (
        "ice",
        {"vfs": [{"ids": 2, "vlan": 7, "vlan_proto": "802.1ad"}, {"ids": 3, "msix_vectors": 16, "mtu": 1400}]},
        {},
        {2: {"vlan": 7, "vlan_proto": "802.1ad"}, 3: {"msix_vectors": 16, "mtu": 1400}},
    ),
    (
        "ipoib",
        {"vfs": [{"ids": "0-3", "node_guid": "02:00:00:00:00:00:00:10+id", "link_state": "enable"}]},
        {},
        {0: {"link_state": "enable"}, 3: {"node_guid": "02:00:00:00:00:00:00:10+id"}},
    ),
]


@pytest.mark.parametrize(("kind", "spec", "settings", "entries"), KINDS)
def test_kinds_of_pfs(
    tmp_path: Path, kind: str, spec: dict[str, Any], settings: dict[str, Any], entries: dict[int, dict[str, Any]]
) -> None:
    hosts = [FakeHost(tmp_path / name, "vf-id", ("mlx5_core", "ice", "iavf")) for name in ("one", "other")]
    one, other = ((host, getattr(host, kind)(PF)) for host in hosts)
    document = validate({"pfs": [{"pf": PF, "hardware_vfs": 4, "present_vfs": "all", **spec}]})
    converge(one[0].sysfs, one[0].run, document)
    found = exported(one[0])
    declared = found.document.to_dict()["pfs"][0]
    assert {key: declared[key] for key in declared if key in ("eswitch_mode", "mtu")} == settings
    for vf_id, wanted in entries.items():
        mine = [vf for vf in declared["vfs"] if vf_id in vf_ids.parse(vf["ids"], 4)]
        assert {key: value for vf in mine for key, value in vf.items()}.items() >= wanted.items()
    assert not converge(one[0].sysfs, one[0].run, found.document, check=True).plan.steps
    converge(other[0].sysfs, other[0].run, found.document)
    assert other[1].picture() == one[1].picture()


VF_EXTRAS = st.fixed_dictionaries(
    {"ids": st.integers(0, TOTAL - 1).map(lambda number: [number])},
    optional={
        "mac": st.integers(0, 255).map("02:00:00:00:00:{:02x}".format),
        "link_state": st.sampled_from(["auto", "enable", "disable"]),
        "min_tx_rate": st.integers(0, 50),
    },
)
MEDDLING = st.tuples(st.sampled_from(["unbind", "override", "clear", "probe"]), st.integers(0, TOTAL - 1))


@st.composite
def histories(draw: st.DrawFn) -> tuple[Start, list[Any], list[tuple[str, int]]]:
    """A start, documents applied to it, and manual changes after that."""
    start = draw(starts())
    documents = draw(st.lists(specs(start), max_size=2))
    if start.network and draw(st.booleans()):
        documents.append({"pf": PF, "vfs": draw(st.lists(VF_EXTRAS, max_size=2))})
    return start, [{"pfs": [spec]} for spec in documents], draw(st.lists(MEDDLING, max_size=2))


def meddle(host: FakeHost, what: str, vf_id: int) -> None:
    """A manual write; the kernel refuses some of them."""
    link = f"/sys/bus/pci/devices/{PF}/virtfn{vf_id}"
    address = host.sysfs.link(link) or ""
    path, value = {
        "unbind": (f"{link}/driver/unbind", address),
        "override": (f"{link}/driver_override", "igbvf"),
        "clear": (f"{link}/driver_override", "\n"),
        "probe": ("/sys/bus/pci/drivers_probe", address),
    }[what]
    try:
        host.sysfs.write(path, value)
    except KernelError:
        return


def apply_history(host: FakeHost, documents: list[Any], meddling: list[tuple[str, int]]) -> None:
    for spec in documents:
        try:
            converge(host.sysfs, host.run, validate(spec), force=True, allow_disruptive=True)
        except SriovError:
            continue
    for what, vf_id in meddling:
        meddle(host, what, vf_id)


@settings(QUICK, max_examples=150)
@given(histories())
def test_no_steps_there_and_a_plan_to_get_there(history: tuple[Start, list[Any], list[tuple[str, int]]]) -> None:
    """The fake kernels' states, here and on another host.

    VFs without a driver that a notice names may get one on the other host.
    """
    start, documents, meddling = history
    with host_of(start) as (host, pf), tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        apply_history(host, documents, meddling)
        found = exported(host, [PF])
        written = len(host.sysfs.writes) + len(host.run.calls)
        text = json.loads(json.dumps(found.document.to_dict()))
        assert converge(host.sysfs, host.run, validate(text)).plan.steps == ()
        assert len(host.sysfs.writes) + len(host.run.calls) == written

        other = FakeHost(Path(folder), start.interface, ("igb", "igbvf"))
        same = other.add(FakePf(PF, TOTAL, netdev=pf.netdev))
        converge(other.sysfs, other.run, validate(text))
        assert (same.enabled, same.autoprobe, set(same.vfs)) == (pf.enabled, pf.autoprobe, set(pf.vfs))
        assert same.properties == pf.properties
        noted = {i for notice in found.notices for i in vf_ids.parse(notice.split("VFs ")[1].split()[0], TOTAL)}
        differ = {vf_id for vf_id, vf in pf.vfs.items() if same.vfs[vf_id].driver != vf.driver}
        assert differ <= {vf_id for vf_id in noted if pf.vfs[vf_id].driver is None}
        if not found.notices:
            assert exported(other, [PF]).document == found.document
