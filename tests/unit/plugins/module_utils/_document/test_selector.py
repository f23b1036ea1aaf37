# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Selectors of PFs: validation, matches, and errors.

Errors name what matches when that is none or too many.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import lookup
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import selector as _selector
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.selector import Selector
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import FACTS, PfState
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf


def pf(
    address: str, ids: str, pci_class: str, numa: int, driver: str | None = None, netdev: str | None = None
) -> PfState:
    values = [f"0x{number}" for number in ids.split(":")]
    facts: dict[str, str | int] = {**dict(zip(FACTS, values)), "class": pci_class, "numa_node": numa}
    return PfState(address, 8, 0, driver=driver, netdev=netdev, facts=facts)


ICE0 = pf("0000:3b:00.0", "8086:1592:8086:0002", "0x020000", 0, "ice", "ens1f0np0")
ICE1 = pf("0000:3b:00.1", "8086:1592:8086:0002", "0x020000", 0, "ice", "ens1f1np1")
ICE2 = pf("0000:af:00.0", "8086:1592:8086:000e", "0x020000", 1, "ice", "ens2f0np0")
MLX = pf("0000:d8:00.0", "15b3:101d:15b3:0044", "0x020700", 1, "mlx5_core", "ibp216s0")
NVME = pf("10000:01:00.0", "144d:a824:144d:a801", "0x010802", 0, "nvme")
QAT = pf("0000:6b:00.0", "8086:4940:8086:0000", "0x0b4000", 0, "4xxx")
GPU = pf("0000:e1:00.0", "10de:20b5:10de:1533", "0x030200", 1)
STATES = {one.address: one for one in (NVME, GPU, MLX, ICE2, ICE1, ICE0, QAT)}

# name or selector, what it means
FOUND: list[tuple[Any, list[PfState]]] = [
    ("0000:3B:00.1", [ICE1]),
    ("3b:00.1", [ICE1]),
    ("10000:01:00.0", [NVME]),
    ("ens2f0np0", [ICE2]),
    ("uplink", [ICE1]),
    ({"vendor": "15b3"}, [MLX]),
    ({"vendor": "0x144D", "device": "A824"}, [NVME]),
    ({"vendor": "8086", "device": "4940"}, [QAT]),
    ({"device": "1592", "subsystem_device": "000e"}, [ICE2]),
    ({"subsystem_vendor": "10de"}, [GPU]),
    ({"driver": "mlx5_core"}, [MLX]),
    ({"class": "infiniband"}, [MLX]),
    ({"class": "0207"}, [MLX]),
    ({"class": "nvme"}, [NVME]),
    ({"class": "0x010802"}, [NVME]),
    ({"class": "display"}, [GPU]),
    ({"class": "coprocessor"}, [QAT]),
    ({"netdev": "ibp216s0"}, [MLX]),
    ({"netdev": "ens2*"}, [ICE2]),
    ({"driver": "ice", "numa_node": 1}, [ICE2]),
    ({"driver": "ice", "numa_node": "1"}, [ICE2]),
    ({"driver": "ice", "index": 0}, [ICE0]),
    ({"driver": "ice", "index": "2"}, [ICE2]),
    ({"netdev": "ens1f?np?", "index": 1}, [ICE1]),
    ({"index": 6}, [NVME]),
    ({"driver": "ice", "all": True}, [ICE0, ICE1, ICE2]),
    ({"class": "network", "numa_node": 1, "all": True}, [ICE2, MLX]),
    ({"class": "ethernet", "all": True}, [ICE0, ICE1, ICE2]),
    ({"class": "nvme", "all": True}, [NVME]),
    ({"all": True}, [ICE0, ICE1, QAT, ICE2, MLX, GPU, NVME]),
    ({"driver": "ice", "not": [{"netdev": "ens1f1*"}], "all": True}, [ICE0, ICE2]),
    ({"driver": "ice", "not": {"numa_node": 0}}, [ICE2]),
    ({"not": [{"vendor": "8086"}, {"class": "display"}], "index": 1}, [NVME]),
    ({"class": "ethernet", "not": [{"driver": "ice", "numa_node": 1}], "all": True}, [ICE0, ICE1]),
    ({"class": "display", "not": {"netdev": "eth0"}}, [GPU]),
]


@pytest.mark.parametrize(("data", "means"), FOUND)
def test_find(data: Any, means: list[PfState]) -> None:  # noqa: ANN401 - what users may write
    name = _selector.validate(data, "pf")
    assert lookup.find(name, STATES, {"uplink": "ens1f1np1"}) == means
    if isinstance(name, Selector):
        assert _selector.validate(name.to_dict(), "pf") == name


def test_pfs_are_in_the_order_of_their_numbers() -> None:
    """PFs sorted by their addresses' numbers.

    Domains of VMD have five digits (drivers/pci/controller/vmd.c), those of Hyper-V any four.
    """
    states = {address: pf(address, "8086:1592", "0x020000", 0) for address in ("10000:01:00.0", "c05b:00:02.0")}
    found = lookup.find(Selector(all=True), states, {})
    assert [one.address for one in found] == ["c05b:00:02.0", "10000:01:00.0"]


EVERY = (
    "0000:3b:00.0 (ens1f0np0), 0000:3b:00.1 (ens1f1np1), 0000:6b:00.0, 0000:af:00.0 (ens2f0np0), 0000:d8:00.0 "
    "(ibp216s0), 0000:e1:00.0, 10000:01:00.0"
)

# name or selector, the whole message
NOT_FOUND: list[tuple[Any, str]] = [
    ("eth9", f"PF 'eth9' is not on this host; PFs of this host: {EVERY}"),
    (
        {"driver": "ixgbe"},
        "PF {driver: ixgbe} is not on this host; PFs of this host: 0000:3b:00.0 (ens1f0np0; driver ice), 0000:3b:00.1 "
        "(ens1f1np1; driver ice), 0000:6b:00.0 (driver 4xxx), 0000:af:00.0 (ens2f0np0; driver ice), 0000:d8:00.0 "
        "(ibp216s0; driver mlx5_core), 0000:e1:00.0 (driver none), 10000:01:00.0 (driver nvme)",
    ),
    ({"netdev": "eth*", "all": True}, f"PF {{netdev: eth*, all: true}} is not on this host; PFs of this host: {EVERY}"),
    (
        {"driver": "ice"},
        "PF {driver: ice} is not one PF, 3 match: 0000:3b:00.0 (ens1f0np0; subsystem_device 0x0002; numa_node 0), "
        "0000:3b:00.1 (ens1f1np1; subsystem_device 0x0002; numa_node 0), 0000:af:00.0 (ens2f0np0; subsystem_device "
        "0x000e; numa_node 1); say more about it, choose one with an index from 0 to 2, or take all of them alike with "
        "all: true",
    ),
    (
        {"driver": "ice", "numa_node": 0, "index": 2},
        "PF {numa_node: 0, driver: ice, index: 2}: 2 PFs match, so the highest index is 1: 0000:3b:00.0 (ens1f0np0; "
        "numa_node 0; driver ice), 0000:3b:00.1 (ens1f1np1; numa_node 0; driver ice)",
    ),
    (
        {"class": "nvme", "index": 1},
        "PF {class: 0x010802, index: 1}: one PF matches, so the highest index is 0: 10000:01:00.0 (class 0x010802)",
    ),
]


@pytest.mark.parametrize(("data", "message"), NOT_FOUND)
def test_find_names_the_candidates(data: Any, message: str) -> None:  # noqa: ANN401 - what users may write
    with pytest.raises(BadInputError) as caught:
        lookup.find(_selector.validate(data, "pf"), STATES, {})
    assert str(caught.value) == message


def test_host_without_pfs() -> None:
    with pytest.raises(BadInputError, match="PFs of this host: none"):
        lookup.find(Selector((("driver", "ice"),)), {}, {})


# what is given, words of the message
BAD: list[tuple[Any, str]] = [
    (None, "pf is missing; write it like '0000:3b:00.0', in quotes"),
    (180.0, "pf: 180.0 is what YAML makes of 0000:03:00.0 without quotes; write '0000:03:00.0' in quotes"),
    (190.3, "pf: 190.3 is what YAML makes of 0000:03:10.3 without quotes"),
    (-1.5, "pf: -1.5 is not a PCI address, an interface name or a selector"),
    ("./0000:04:00.0", "pf: './0000:04:00.0' is neither a PCI address like"),
    ("eth 0", "pf: 'eth 0' is neither"),
    ("e" * 128, "at most 127 bytes"),
    ("\0", r"pf: '\x00' is neither"),
    ("\udc80", r"pf: '\udc80' is neither"),
    ({"driver": "../x"}, "pf.driver: '../x' is no name"),
    ({"netdev": "a\nb"}, r"pf.netdev: 'a\nb' is no name"),
    (
        {"vendor": 1, "device": 2},
        "2 mistakes:\n- pf.vendor: 1 is not a text; put quotes around hexadecimal digits\n- pf.dev",
    ),
    ({}, "pf: a selector needs one of the keys vendor, device"),
    ({"vendor": None}, "pf: a selector needs one of the keys"),
    ({"driver": "ice", "not": "eth0"}, "pf.not: 'eth0' is not a mapping; write facts of the PFs to leave out"),
    (
        {"driver": "ice", "not": [{"drivr": "x"}, 5]},
        "2 mistakes:\n- pf.not[0].drivr: unknown key; did you mean 'driver'?",
    ),
    ({"driver": "ice", "not": {"all": True}}, "pf.not: it takes facts of PFs alone, such as {netdev: eth0}"),
    ({"driver": "ice", "not": {"netdev": "a", "index": 0}}, "pf.not: it takes facts of PFs alone"),
    ({"not": {"not": {"driver": "x"}}}, "pf.not: it takes facts of PFs alone"),
    ({"vendr": "8086"}, "pf.vendr: unknown key; did you mean 'vendor'?"),
    ({"vendor": 8086}, "pf.vendor: 8086 is not a text; put quotes around hexadecimal digits"),
    ({"vendor": "intel"}, "pf.vendor: 'intel' is not a PCI id; write four hexadecimal digits in quotes, like '8086'"),
    ({"device": "0x10c"}, "pf.device: '0x10c' is not a PCI id"),
    ({"subsystem_vendor": []}, "pf.subsystem_vendor: [] is not a text"),
    ({"class": "020"}, "pf.class: '020' is not a PCI class; write two, four or six hexadecimal digits"),
    ({"class": "nic"}, "or one of network, ethernet, infiniband, nvme, display, coprocessor, accelerator"),
    ({"class": 2}, "pf.class: 2 is not a text; put quotes"),
    ({"driver": " "}, "pf.driver: ' ' is not a text"),
    ({"netdev": True}, "pf.netdev: true is not a text"),
    ({"numa_node": -2}, "pf.numa_node: -2 is not a whole number from -1 on"),
    ({"numa_node": True}, "pf.numa_node: true is not a whole number"),
    ({"index": -1}, "pf.index: -1 is not a whole number from 0 on"),
    ({"index": "first"}, "pf.index: 'first' is not a whole number"),
    ({"driver": "ice", "all": "each"}, "pf.all: 'each' is not true or false"),
    ({"driver": "ice", "all": True, "index": 0}, "pf: index is for one PF, all for several; keep one of them"),
]


@pytest.mark.parametrize(("data", "words"), BAD)
def test_validate_refuses(data: Any, words: str) -> None:  # noqa: ANN401 - what users may write
    with pytest.raises(BadInputError) as caught:
        _selector.validate(data, "pf")
    assert words in str(caught.value)


# text of a command line, what the host document has for it
TEXTS: list[tuple[str, Any]] = [
    ("eth0", "eth0"),
    ("0000:3b:00.0", "0000:3b:00.0"),
    ("driver=ice,index=1", {"driver": "ice", "index": 1}),
    ("class=nvme, numa_node=-1, all=true", {"class": "nvme", "numa_node": -1, "all": True}),
    ("vendor=8086,all=false", {"vendor": "8086"}),
]


@pytest.mark.parametrize(("text", "data"), TEXTS)
def test_from_text(text: str, data: Any) -> None:  # noqa: ANN401 - what users may write
    assert _selector.from_text(text) == _selector.validate(data, "pf")


def test_bad_text_names_the_key() -> None:
    with pytest.raises(BadInputError, match=r"PF 'drivr=ice'.drivr: unknown key; did you mean 'driver'"):
        _selector.from_text("drivr=ice")


# selector, PF without driver or interface, may it match yet?
LATER: list[tuple[dict[str, Any], PfState, bool]] = [
    ({"driver": "ice"}, pf("0000:3b:00.0", "8086:1592", "0x020000", 0), True),
    ({"driver": "ice"}, pf("0000:3b:00.0", "8086:1592", "0x020000", 0, "ice"), False),
    ({"driver": "ice", "vendor": "15b3"}, pf("0000:3b:00.0", "8086:1592", "0x020000", 0), False),
    ({"vendor": "8086"}, pf("0000:3b:00.0", "8086:1592", "0x020000", 0), False),
    ({"netdev": "ens*"}, pf("0000:3b:00.0", "8086:1592", "0x020000", 0), True),
    ({"netdev": "ens*"}, pf("0000:3b:00.0", "8086:1592", "0x020000", 0, "ice"), True),
    ({"netdev": "ens*"}, pf("0000:3b:00.0", "8086:1592", "0x020000", 0, "ice", "eth0"), False),
    ({"netdev": "ens*"}, pf("0000:04:00.0", "1b36:0010", "0x010802", 0, "nvme"), False),
    ({"driver": "ice", "netdev": "ens*"}, pf("0000:04:00.0", "1b36:0010", "0x010802", 0), False),
]


@pytest.mark.parametrize(("selector", "state", "may"), LATER)
def test_may_match_later(selector: dict[str, Any], state: PfState, may: bool) -> None:
    name = _selector.validate(selector, "pf")
    assert isinstance(name, Selector)
    assert name.may_match_later(state) is may


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.igb("0000:03:00.0", "eth0").numa_node = 1
    host.add(FakePf("0000:05:00.0", netdev="eth1", numa_node=2))
    host.nvme("0000:04:00.0")
    return host


def names_read(host: FakeHost) -> set[str]:
    return {path.rsplit("/", 1)[1] for path in host.sysfs.reads} & set(FACTS)


# what PFs are named by, facts that are read for it
READ: list[tuple[list[Any], set[str]]] = [
    (["0000:03:00.0"], set()),
    (["eth0"], set()),
    ([{"driver": "nvme"}], set()),
    ([{"class": "nvme"}], {"class"}),
    ([{"vendor": "8086", "index": 0}, {"class": "nvme"}], {"vendor", "class"}),
    ([{"numa_node": 2}, "eth0"], {"numa_node"}),
]


@pytest.mark.parametrize(("pfs", "facts"), READ)
def test_only_facts_that_are_asked_for_are_read_and_once(host: FakeHost, pfs: list[Any], facts: set[str]) -> None:
    document = validate({"pfs": [{"pf": one, "hardware_vfs": 0} for one in pfs]})
    assert not converge.converge(host.sysfs, host.run, document).plan.changed
    assert names_read(host) == facts
    assert set(host.sysfs.reads.values()) == {1}


def test_error_names_facts_that_were_not_asked_for(host: FakeHost) -> None:
    document = validate({"pfs": [{"pf": {"driver": "igb"}}]})
    with pytest.raises(
        BadInputError, match=r"2 match: 0000:03:00.0 \(eth0; numa_node 1\), 0000:05:00.0 \(eth1; numa_node 2\);"
    ):
        converge.converge(host.sysfs, host.run, document)


def test_all_declares_each_alike(host: FakeHost) -> None:
    document = validate({"pfs": [{"pf": {"driver": "igb", "all": True}, "hardware_vfs": "max", "present_vfs": "0-1"}]})
    report = converge.converge(host.sysfs, host.run, document)
    assert sorted(report.states) == ["0000:03:00.0", "0000:05:00.0"]
    assert {pf.enabled for pf in host.pfs.values()} == {7, 8, 0}
    assert {len(pf.vfs) for pf in host.pfs.values()} == {2, 0}


def test_a_pf_that_may_be_excluded_later_is_awaited() -> None:
    """A PF without a driver yet, which may be left out."""
    late = pf("0000:01:00.0", "8086:1592", "0x020000", 0)
    named = late._replace(driver="ice", netdev="mgmt0")
    other = late._replace(driver="ice", netdev="eth0")
    selector = _selector.validate({"class": "network", "not": {"netdev": "mgmt*"}, "all": True}, "pf")
    assert isinstance(selector, Selector)
    seen = [(selector.matches(one), selector.may_match_later(one)) for one in (late, named, other)]
    assert seen == [(False, True), (False, False), (True, False)]
    assert selector.facts == {"class"}
    assert str(selector) == "{class: 0x02, not: [{netdev: mgmt*}], all: true}"
