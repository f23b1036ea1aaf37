# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole module on a fake host."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.selector import KEYS
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import FACTS
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import pf_lock
from ansible_collections.kvmfleet.sriov.plugins.modules import sriov_info
from ansible_collections.kvmfleet.sriov.plugins.modules.sriov_info import EXAMPLES, RETURN
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost
from tests.fake.scenarios.faults import KILL, Killed


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path / "root")
    pf = host.igb()
    pf.altname = "uplink"
    host.setup(pf, 7, [0, 6], "vfio-pci")
    host.hold(pf, 6)
    host.nvme()
    return host


def run(host: FakeHost, capsys: pytest.CaptureFixture[str], **args: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    with patch_module_args(args), pytest.raises(SystemExit):
        sriov_info.main(host.sysfs, host.run)
    return dict(json.loads(capsys.readouterr().out))


def test_documented_examples(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.pfs["0000:04:00.0"].numa_node = 0
    host.draw()
    found = [run(host, capsys, **(task["kvmfleet.sriov.sriov_info"] or {})) for task in yaml.safe_load(EXAMPLES)]
    assert [[pf["driver"] for pf in one["pfs"]] for one in found] == [
        ["igb", "nvme"],
        ["igb"],
        ["igb", "nvme"],
        ["nvme"],
    ]


def test_all_that_it_documents(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    igb, nvme = run(host, capsys)["pfs"]
    vf = igb["vfs"][6]
    assert (igb["pf"], igb["netdev"], igb["interface"], igb["present_vfs"]) == ("0000:03:00.0", "eth0", "vf-id", "0,6")
    assert igb["abilities"]["remove"] is True
    assert [one["present"] for one in igb["vfs"]] == [True, False, False, False, False, False, True]
    assert (vf["address"], vf["driver"], vf["iommu_group"]) == ("0000:04:11.4", "vfio-pci", "2")
    assert vf["held_by"] == "VM web1, process 4711 (qemu-system-x86)"
    assert vf["properties"]["spoofchk"] is True
    assert (vf["msix_vectors"], vf["mtu"]) == (8, None)
    assert (igb["mtu"], igb["eswitch_mode"], igb["total_msix"]) == (1500, None, 0)
    assert (nvme["netdev"], nvme["hardware_vfs"], nvme["vfs"]) == (None, 0, [])
    assert (nvme["mtu"], nvme["eswitch_mode"]) == (None, None)


def test_eswitch_and_vectors(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.drivers.add("mlx5_core")
    pf = host.mlx5(netdev="eth5", speed=100000)
    host.setup(pf, 2, [0], "mlx5_core")
    pf.eswitch, pf.vfs[0].mtu, pf.vectors[0] = "switchdev", 4000, 12
    host.draw()
    found = run(host, capsys, pfs=["eth5"])["pfs"][0]
    assert (found["netdev"], found["eswitch_mode"], found["total_msix"]) == ("eth5", "switchdev", 256)
    assert (found["vfs"][0]["msix_vectors"], found["vfs"][0]["mtu"]) == (12, 4000)
    assert "mtu" not in found["vfs"][1]


def test_versions_and_places(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    users.put(host, "proc/cmdline", "quiet pci=sriov_keep_vfs\n")
    users.put(host, "proc/sys/kernel/osrelease", "6.12.117-kvmfleet\n")
    found = run(host, capsys)
    igb, nvme = found["pfs"]
    assert (igb["driver_version"], igb["firmware_version"], igb["model"]) == ("6.12.0", "3.25, 0x800005cf", None)
    assert (nvme["driver_version"], nvme["firmware_version"], nvme["model"]) == (None, "8.2.0", "QEMU NVMe Ctrl")
    assert (igb["altnames"], igb["mac"], nvme["altnames"], nvme["mac"]) == (["uplink"], "52:54:00:00:00:01", None, None)
    assert (igb["class_name"], igb["iommu_group"], igb["iommu_type"]) == ("ethernet", "10000", "DMA")
    assert (igb["pcie_speed"], igb["pcie_width"], igb["vf_offset"], igb["vf_stride"]) == ("8.0 GT/s PCIe", 8, 384, 2)
    assert (igb["absent_vfs"], igb["unbound_vfs"], igb["held_vfs"]) == ("1-5", "none", "6")
    assert (igb["vf_drivers"], nvme["vf_drivers"]) == ({"vfio-pci": 2}, {})
    assert igb["unread"] == nvme["unread"] == []
    assert found["kernel"] == {"release": "6.12.117-kvmfleet", "pci": ["sriov_keep_vfs"]}


def documented() -> dict[str, Any]:
    return dict(yaml.safe_load(RETURN))


TYPES = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}


def differences(entry: dict[str, Any], values: list[Any], where: str) -> Iterator[str]:
    """Differences of ``values`` from their documentation, and of its samples."""
    kind = TYPES[entry["type"]]
    if "sample" in entry and type(entry["sample"]) is not kind:
        yield f"{where}: the sample is no {entry['type']}"
    found = [value for value in values if value is not None]
    if not found:
        yield f"{where}: no test shows it"
    if any(type(value) is not kind for value in found):
        yield f"{where}: {found[:3]}"
    if "contains" in entry:
        items = [item for value in found for item in (value if kind is list else [value])]
        yield from _of_mappings(entry["contains"], items, where)
    elif kind is list and any(type(item) is not TYPES[entry["elements"]] for value in found for item in value):
        yield f"{where}: elements of {found[:3]}"


def _of_mappings(entries: dict[str, Any], items: list[dict[str, Any]], where: str) -> Iterator[str]:
    yield from (
        f"{where}.{key}: not documented" for key in sorted({key for item in items for key in item} - {*entries})
    )
    for key, entry in entries.items():
        yield from differences(entry, [item[key] for item in items if key in item], f"{where}.{key}")


def test_what_it_returns_is_what_is_documented(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    """Every key, with its type and a sample of it.

    Each is shown by some PF of this host.
    """
    users.put(host, "proc/cmdline", "pci=sriov_keep_vfs\n")
    users.put(host, "proc/sys/kernel/osrelease", "6.12.117-kvmfleet\n")
    host.drivers.add("mlx5_core")
    pf = host.mlx5(netdev="eth5", speed=100000)
    host.setup(pf, 2, [0, 1], "mlx5_core")
    host.block(host.mlx5("0000:06:00.0", netdev="eth6"), "/sys/x", "0")
    failed = host.mlx5("0000:07:00.0", netdev="eth7")
    (host.root / f"sys/bus/pci/devices/{failed.address}/sriov_numvfs").write_text("")
    found = run(host, capsys)
    found.pop("invocation", None)
    found.pop("changed")
    found.pop("warnings", None)  # of tests before this one, which Ansible keeps
    found["kind"] = run(host, capsys, pfs=["eth99"])["kind"]
    assert [text for key, entry in documented().items() for text in differences(entry, [found.pop(key)], key)] == []
    assert found == {}


def test_that_test_would_notice(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    entries = {name: entry for name, entry in documented()["pfs"]["contains"].items() if name != "mtu"}
    rows = run(host, capsys, pfs=["eth0"])["pfs"]
    rows[0]["altnames"], rows[0]["vf_stride"] = [1], "2"
    problems = [*_of_mappings({**entries, "mac": {"type": "str", "sample": 1}}, rows, "pfs")]
    assert {text for text in problems if "no test shows it" not in text} == {
        "pfs.mtu: not documented",
        "pfs.altnames: elements of [[1]]",
        "pfs.vf_stride: ['2']",
        "pfs.mac: the sample is no str",
    }


def test_a_run_that_was_killed_is_reported(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    """An unfinished run, reported until the next one has undone it.

    It is not reported while it runs.
    """
    pf = host.pfs["0000:03:00.0"]
    host.end_holders(pf)
    spec = validate({"pfs": [{"pf": "eth0", "hardware_vfs": 5, "present_vfs": "0-4", "allow_disruptive": True}]})
    host.faults = {3: KILL}
    with pytest.raises(Killed):
        converge(host.sysfs, host.run, spec)
    host.dead = False
    assert [pf["unfinished"] for pf in run(host, capsys)["pfs"]] == [True, False]
    with pf_lock.held(host.sysfs, [pf.address]):
        assert [pf["unfinished"] for pf in run(host, capsys)["pfs"]] == [False, False]
    converge(host.sysfs, host.run, spec)
    assert [pf["unfinished"] for pf in run(host, capsys)["pfs"]] == [False, False]


# extent, keys that are there, files below VFs that are read
EXTENTS: list[tuple[str, set[str], set[str]]] = [
    ("full", {"vfs", "vf_drivers", "held_vfs", "unbound_vfs"}, {"driver_override", "config"}),
    ("summary", {"vf_drivers", "held_vfs", "unbound_vfs"}, {"driver_override"}),
    ("none", set(), set()),
]


@pytest.mark.parametrize(("vfs", "keys", "files"), EXTENTS)
def test_how_much_about_vfs(
    host: FakeHost, capsys: pytest.CaptureFixture[str], vfs: str, keys: set[str], files: set[str]
) -> None:
    host.sysfs.reads.clear()
    pf = run(host, capsys, pfs=["eth0"], vfs=vfs)["pfs"][0]
    assert {"vfs", "vf_drivers", "held_vfs", "unbound_vfs"} & {*pf} == keys
    assert (pf["present_vfs"], pf["absent_vfs"], pf["firmware_version"]) == ("0,6", "1-5", "3.25, 0x800005cf")
    of_vfs = {path.rsplit("/", 1)[1] for path in host.sysfs.reads if "/0000:04:1" in path}
    assert of_vfs == files
    assert any(path.startswith("/proc/4711") for path in host.sysfs.reads) is (vfs != "none")


# programs that this host does not have, what is unread of the network PF, what is null then
MISSING: list[tuple[set[str], list[str], set[str]]] = [
    ({"devlink"}, ["eswitch_mode: 'devlink -j dev eswitch show pci/0000:03:00.0' ended with status 127: "], set()),
    (
        {"ip"}, ["altnames, mac and properties of VFs: 'ip -json -details link show dev eth0' ended with status 127: "],
        {"altnames", "mac"},
    ),
    (
        {"ip", "devlink"}, ["eswitch_mode: 'devlink ", "altnames, mac and properties of VFs: 'ip "],
        {"altnames", "mac"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("missing", "unread", "nulls"), MISSING)
def test_a_source_that_is_missing_is_no_failure(
    host: FakeHost, capsys: pytest.CaptureFixture[str], missing: set[str], unread: list[str], nulls: set[str]
) -> None:
    usual, _nvme = run(host, capsys)["pfs"]
    host.run.missing = missing
    igb, nvme = run(host, capsys)["pfs"]
    assert [text[: len(words)] for text, words in zip(igb["unread"], unread, strict=True)] == unread
    assert {key for key in igb if igb[key] is None and usual[key] is not None} == nulls
    assert nvme["unread"] == []


def test_firmware_that_nobody_knows(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.pfs["0000:03:00.0"].drvinfo = None
    assert run(host, capsys, pfs=["eth0"])["pfs"][0]["unread"] == []
    host.run.missing = {"devlink"}
    pf = run(host, capsys, pfs=["eth0"])["pfs"][0]
    assert (pf["driver_version"], pf["firmware_version"]) == (None, None)
    assert pf["unread"][1].startswith("firmware_version: 'devlink -j dev info pci/0000:03:00.0' ended with status 127")


def test_numa_nodes(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.pfs["0000:03:00.0"].numa_node = 1
    host.draw()
    vfs = run(host, capsys, pfs=["eth0"])["pfs"][0]["vfs"]
    assert [vf.get("numa_node") for vf in vfs] == [1, None, None, None, None, None, 1]


@pytest.mark.parametrize("name", ["eth0", "uplink", "0000:03:00.0", "03:00.0"])
def test_names_of_a_pf(host: FakeHost, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert [pf["pf"] for pf in run(host, capsys, pfs=[name])["pfs"]] == ["0000:03:00.0"]


# selectors of PFs, those that they mean
SELECTED: list[tuple[list[Any], list[str]]] = [
    ([{"class": "nvme"}], ["0000:04:00.0"]),
    ([{"driver": "nvme"}, "eth0"], ["0000:03:00.0", "0000:04:00.0"]),
    ([{"all": True}, {"vendor": "8086"}], ["0000:03:00.0", "0000:04:00.0"]),
]


@pytest.mark.parametrize(("pfs", "means"), SELECTED)
def test_selectors(host: FakeHost, capsys: pytest.CaptureFixture[str], pfs: list[Any], means: list[str]) -> None:
    assert [pf["pf"] for pf in run(host, capsys, pfs=pfs)["pfs"]] == means


def test_reports_every_fact_that_selectors_ask_for(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    """A selector of all facts, which matches the PF itself."""
    facts = {key for key in KEYS if key not in ("not", "index", "all")}
    for pf in run(host, capsys)["pfs"]:
        selector = {key: pf[key] for key in facts if pf[key] is not None}
        assert len(selector) == (len(facts) if pf["netdev"] else len(facts) - 2)
        assert run(host, capsys, pfs=[selector])["pfs"] == [pf]


def test_a_selector_that_means_none_or_several_is_an_error(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(host, capsys, pfs=[{"class": "display"}])
    assert (result["kind"], result["msg"]) == (
        "BadInputError",
        "PF {class: 0x03} is not on this host; PFs of this host: 0000:03:00.0 (eth0; class 0x020000), 0000:04:00.0 "
        "(class 0x010802)",
    )
    assert "2 match: 0000:03:00.0 (eth0; vendor 0x8086; " in run(host, capsys, pfs=[{"numa_node": -1}])["msg"]
    assert "pfs[1].drver: unknown key; did you mean 'driver'?" in run(host, capsys, pfs=["eth0", {"drver": ""}])["msg"]


def test_without_properties_no_program_runs(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    pf = run(host, capsys, pfs=["eth0"], properties=False)["pfs"][0]
    assert host.run.asked == []
    assert [pf[name] for name in ("altnames", "mac", "driver_version", "firmware_version", "mtu")] == [None] * 5
    assert [vf["id"] for vf in pf["vfs"]] == [0, 6]
    assert all("properties" not in vf for vf in pf["vfs"])


def test_without_rights_holders_are_unknown(
    host: FakeHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = host.sysfs.target

    def forbidden(path: str) -> str | None:
        if path.startswith("/proc"):
            raise KernelError("read link", path, errno.EACCES)
        return target(path)

    monkeypatch.setattr(host.sysfs, "target", forbidden)
    assert not [vf for vf in run(host, capsys)["pfs"][0]["vfs"] if "held_by" in vf]


def test_unknown_pf_names_those_there_are(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(host, capsys, pfs=["eth1"])
    assert result["failed"]
    assert "PF 'eth1' is not on this host; PFs of this host: 0000:03:00.0 (eth0), 0000:04:00.0" in result["msg"]


def test_each_file_is_read_once(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    run(host, capsys)
    assert [path for path, times in host.sysfs.reads.items() if times > 1] == []


def test_holders_of_every_kind(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    users.define(host, "web2", users.hostdev(host.pfs["0000:03:00.0"], 0))
    holders = {vf["id"]: vf["held_by"] for vf in run(host, capsys, properties=False)["pfs"][0]["vfs"]}
    assert holders == {0: "libvirt domain web2 (defined)", 6: "VM web1, process 4711 (qemu-system-x86)"}


NAMES: list[list[Any] | None] = [
    None,
    ["eth0", "0000:04:00.0"],
    ["0000:03:00.0", "0000:04:00.0"],
    ["uplink", {"class": "nvme"}],
    [{"numa_node": -1, "all": True}],
    [{"numa_node": -1, "index": 0}, {"numa_node": -1, "index": 1}],
]


@pytest.mark.parametrize("names", NAMES)
def test_a_blocked_pf_is_reported_without_reading_it(
    host: FakeHost, capsys: pytest.CaptureFixture[str], names: list[Any] | None
) -> None:
    """The fake fails whoever reads its sriov_numvfs."""
    host.block(host.pfs["0000:03:00.0"], "/sys/x", "0")
    igb, nvme = run(host, capsys, pfs=names)["pfs"]
    assert (igb["pf"], igb["netdev"], igb["driver"]) == ("0000:03:00.0", "eth0", "igb")
    assert {*igb} == {"pf", "netdev", "driver", "blocked", *FACTS}
    assert "has been writing '0' to /sys/x" in igb["blocked"]
    assert (nvme["pf"], nvme["total_vfs"]) == ("0000:04:00.0", 8)
    assert [pf["pf"] for pf in run(host, capsys, pfs=["0000:04:00.0"])["pfs"]] == ["0000:04:00.0"]
