# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole module on a fake host: single VFs come and go.

The others are not disturbed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kvmfleet.sriov.plugins.doc_fragments._declared_pfs import ModuleDocFragment
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.sriov_module import VF_OPTIONS
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import last_apply
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.vf_ids import parse
from ansible_collections.kvmfleet.sriov.plugins.modules import sriov_vf
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

IGB, NVME, MLX5 = "0000:03:00.0", "0000:04:00.0", "0000:05:00.0"
INTERFACES = ("vf-id", "vf-id-narrow", "stock")

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the module on a host."""

    def run(host: FakeHost, **args: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
        with patch_module_args(args), pytest.raises(SystemExit):
            sriov_vf.main(host.sysfs, host.run)
        return dict(json.loads(capsys.readouterr().out))

    return run


def make(folder: Path, interface: str, enabled: int = 7, present: Iterable[int] = (0, 1)) -> FakeHost:
    """A host with two PFs, whose VFs are bound by override.

    All that are enabled are present on a stock kernel.
    """
    host = FakeHost(folder / "root", interface)
    for pf in (host.igb(IGB), host.nvme(NVME)):
        host.setup(pf, enabled, range(enabled) if interface == "stock" else present, "igbvf")
    return host


def four_runs(call: Call, host: FakeHost, **args: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    """Run the module four times and return the second result.

    The runs are check mode, a change, again, again in check mode.
    """
    before = host.picture()
    check = call(host, **args, _ansible_check_mode=True, _ansible_diff=True)
    assert host.picture() == before
    do = call(host, **args, _ansible_diff=True)
    again, again_check = call(host, **args), call(host, **args, _ansible_check_mode=True)
    assert [check["changed"], do["changed"], again["changed"], again_check["changed"]] == [True, True, False, False]
    for key in ("steps", "notes", "diff", "present_vfs"):
        assert check[key] == do[key]
    assert again["present_vfs"] == again_check["present_vfs"] == do["present_vfs"]
    return do


EXAMPLES = {task["name"]: task["kvmfleet.sriov.sriov_vf"] for task in yaml.safe_load(sriov_vf.EXAMPLES)}


@pytest.mark.parametrize("interface", INTERFACES)
def test_documented_examples(tmp_path: Path, call: Call, interface: str) -> None:
    host = make(tmp_path, interface, present=())
    host.drivers.add("mlx5_core")
    mlx5 = host.mlx5(MLX5, netdev="eth5")
    host.setup(mlx5, 4, range(4), "mlx5_core")
    add, more, take, first_two = EXAMPLES.values()
    four_runs(call, host, **more)
    assert (mlx5.vectors, mlx5.vfs[0].driver, mlx5.vfs[1].driver) == ({0: 32}, "vfio-pci", "mlx5_core")
    four_runs(call, host, **add)
    vf = host.pfs[IGB].vfs[6]
    assert (vf.driver, host.pfs[IGB].properties[6]["vlan"]) == ("vfio-pci", 100)
    taken = call(host, **take)
    assert taken["changed"] is (6 not in host.pfs[IGB].vfs) is (interface == "vf-id")
    assert bool(taken["notes"]) is (interface != "vf-id")
    assert call(host, **first_two)["changed"] is (interface != "stock")
    assert {0, 1} <= set(host.pfs[NVME].vfs)


# interface, present before, arguments, present after, words of the note
RUNS: list[tuple[str, list[int], dict[str, Any], str, str]] = [
    ("vf-id", [0, 1], {"ids": "4,6"}, "0-1,4,6", "VFs 2-3,5 are absent below"),
    ("vf-id", [0, 1, 2], {"ids": "0,2", "state": "absent"}, "1", "VFs 0 are absent below"),
    ("vf-id-narrow", [0, 1], {"ids": "2-3"}, "0-3", ""),
    ("vf-id", [0, 1], {"ids": 1, "driver": "vfio-pci", "trust": True}, "0-1", ""),
    ("vf-id-narrow", [0, 1], {"ids": 1, "driver": "vfio-pci", "trust": True}, "0-1", ""),
    ("stock", [], {"ids": 1, "driver": "vfio-pci", "trust": True}, "0-6", ""),
]


@pytest.mark.parametrize(("interface", "present", "args", "after", "note"), RUNS)
def test_others_are_not_disturbed(
    tmp_path: Path, call: Call, interface: str, present: list[int], args: dict[str, Any], after: str, note: str
) -> None:
    host = make(tmp_path, interface, present=present)
    pf = host.pfs[IGB]
    vfs, before = dict(pf.vfs), _others(pf, args["ids"])
    result = four_runs(call, host, pf="eth0", **args)
    assert result["present_vfs"] == {IGB: after}
    assert len(result["notes"]) == bool(note)
    assert note in "".join(result["notes"])
    assert all(pf.vfs[vf_id] is vf for vf_id, vf in vfs.items() if vf_id in pf.vfs)
    assert _others(pf, args["ids"]) == before


def _others(pf: FakePf, ids: str | int) -> dict[str, Any]:
    """VFs and properties of all VFs but ``ids``."""
    picture: Any = pf.picture()
    named = parse(ids, pf.total)
    return {what: {i: v for i, v in picture[what].items() if i not in named} for what in ("vfs", "properties")}


# interface, present before, ids that shall go
KEPT = [("vf-id-narrow", [0, 1, 2], "1"), ("vf-id-narrow", [0, 1], "0"), ("stock", [], "6"), ("stock", [], "0-6")]


@pytest.mark.parametrize(("interface", "present", "ids"), KEPT)
def test_vfs_that_cannot_be_left_out_stay_and_the_result_says_so(
    tmp_path: Path, call: Call, interface: str, present: list[int], ids: str
) -> None:
    host = make(tmp_path, interface, present=present)
    before = host.picture()
    for check in (True, False):
        result = call(host, pf=IGB, ids=ids, state="absent", _ansible_check_mode=check)
        assert (result["changed"], host.picture()) == (False, before)
        assert f"the kernel's interface '{interface}' cannot leave VFs {ids} out" in result["notes"][0]
        assert result["present_vfs"] == {IGB: "0-6" if interface == "stock" else f"0-{len(present) - 1}"}


def test_disabling_all_vfs_first_when_allowed(tmp_path: Path, call: Call) -> None:
    host = make(tmp_path, "vf-id-narrow", present=[0, 1, 2])
    pf = host.pfs[IGB]
    args = {"pf": IGB, "ids": "1", "state": "absent"}
    assert (
        "allow_disruptive: true (with the role, sriov_allow_disruptive: true) "
        "would, by disabling all VFs first, which takes the present VFs 0,2 away" in (call(host, **args)["notes"][0])
    )
    result = four_runs(call, host, **args, allow_disruptive=True)
    assert (
        "disabling all VFs first takes the present VFs 0,2 away; VFs 0,2 come back as new devices" in result["notes"][0]
    )
    assert {vf_id: vf.driver for vf_id, vf in pf.vfs.items()} == {0: "igbvf", 2: "igbvf"}


def test_missing_vf_of_a_driver_that_needs_every_vf(tmp_path: Path, call: Call) -> None:
    """A VF that only disabling all VFs first can add.

    The kernel could add it, but that PF's driver has not opted in; VFs in use are refused unless forced.
    """
    host = FakeHost(tmp_path / "root")
    pf = host.add(FakePf(IGB, opt_in=False))
    host.setup(pf, 4, [0, 1, 2], "vfio-pci")
    before = host.picture()
    args = {"pf": IGB, "ids": 3}
    host.hold(pf, 1)
    assert "VF 1 of PF 0000:03:00.0 by VM web1" in call(host, **args, allow_disruptive=True)["msg"]
    assert (
        "'stock' cannot add VFs 3 to those present; that requires disabling all VFs first and takes the present"
        in call(host, **args)["msg"]
    )
    assert host.picture() == before
    pf.vfs[1].in_use = False
    assert call(host, **args, allow_disruptive=True, force=True)["present_vfs"] == {IGB: "0-3"}
    assert [vf.driver for vf in pf.vfs.values()] == ["vfio-pci", "vfio-pci", "vfio-pci", "igbvf"]


@pytest.mark.parametrize("interface", INTERFACES)
def test_absent_is_reached_where_nothing_is_enabled(tmp_path: Path, call: Call, interface: str) -> None:
    host = make(tmp_path, interface, enabled=0, present=())
    result = call(host, pf=IGB, ids="0-6", state="absent")
    assert (result["changed"], result["notes"], result["present_vfs"]) == (False, [], {IGB: "none"})


def test_vf_in_use_is_not_removed_unless_forced(tmp_path: Path, call: Call) -> None:
    host = make(tmp_path, "vf-id")
    pf = host.pfs[IGB]
    host.setup(pf, 7, [0, 6], "vfio-pci")
    host.hold(pf, 6)
    for allow in (True, False):
        result = call(host, pf=IGB, ids="6", state="absent", allow_disruptive=allow)
        assert "VF 6 of PF 0000:03:00.0 by VM web1" in result["msg"]
    call(host, pf=IGB, ids="0", state="absent")
    assert set(pf.vfs) == {1, 6}


# how a VF of the first PF gets a holder, words of the refusal
HOLDERS: list[tuple[Callable[[FakeHost, FakePf, int], None], str]] = [
    (lambda host, pf, vf_id: users.define(host, "web2", users.hostdev(pf, vf_id)), "libvirt domain web2 (defined)"),
    (lambda host, pf, vf_id: users.enslave(host, pf, vf_id, "br0", "bridge"), "bridge br0 above its network interface"),
    (lambda host, pf, vf_id: users.move(host, pf, vf_id, "/run/netns/blue"), "network namespace blue, as interface"),
]


@pytest.mark.parametrize(("use", "words"), HOLDERS)
def test_holders_of_every_kind_are_named(
    tmp_path: Path, call: Call, use: Callable[[FakeHost, FakePf, int], None], words: str
) -> None:
    """Refusals to remove, or to bind to another driver.

    They are refused in check mode too. A VF without a holder is removed.
    """
    host = make(tmp_path, "vf-id")
    pf = host.pfs[IGB]
    use(host, pf, 1)
    users.put(host, "proc/self/mountinfo", "50 1 0:4 net:[7] /run/netns/blue rw shared:2 - nsfs nsfs rw\n")
    before = host.picture()
    specs: list[dict[str, Any]] = [{"state": "absent"}, {"driver": "nvme"}]
    for spec in specs:
        for check in (True, False):
            result = call(host, pf=IGB, ids="0-1", **spec, _ansible_check_mode=check)
            assert result["kind"] == "RefusedError"
            assert f"VFs are in use: VF 1 of PF {IGB} by {words}" in result["msg"]
    assert (host.picture(), host.sysfs.writes, host.run.calls) == (before, [], [])
    assert call(host, pf=IGB, ids="0", state="absent")["present_vfs"] == {IGB: "1"}


def test_what_the_kernel_blocks_has_a_deadline(tmp_path: Path, call: Call) -> None:
    """A blocked PF, refused by any name until its holder ends.

    Other PFs are not refused.
    """
    host = make(tmp_path, "vf-id")
    pf = host.pfs[IGB]
    host.hold(pf, 1)
    first = call(host, pf=IGB, ids="1", state="absent", force=True)
    assert first["kind"] == "ApplyError"
    assert "virtfn1/driver/unbind has not come back" in first["msg"]
    assert len(host.sysfs.within) == 1
    names: list[Any] = [IGB, "eth0", {"driver": "igb"}, {"class": "ethernet", "index": 0}, {"netdev": "eth*"}]
    for name in names:
        refused = call(host, pf=name, ids="3")
        assert (refused["kind"], f"PF {IGB}: process" in refused["msg"]) == ("RefusedError", True)
    everyone = call(host, pf={"numa_node": -1, "all": True}, ids="3")
    assert (everyone["kind"], set(host.pfs[NVME].vfs)) == ("RefusedError", {0, 1})
    assert call(host, pf={"class": "nvme"}, ids="3")["present_vfs"] == {NVME: "0-1,3"}
    host.end_holders(pf)
    assert call(host, pf="eth0", ids="1", state="absent")["present_vfs"] == {IGB: "0"}


def test_it_is_not_noted_as_bringing_the_host_to_what_is_declared(tmp_path: Path, call: Call) -> None:
    host = make(tmp_path, "vf-id")
    assert call(host, pf=IGB, ids="3")["changed"]
    assert call(host, pf="eth9", ids="3")["failed"]
    assert last_apply.read(host.sysfs) is None


# arguments, kind of the error, words of its message
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"pf": "eth9", "ids": 0}, "BadInputError", "PF 'eth9' is not on this host"),
    ({"pf": {"numa_node": -1}, "ids": 0}, "BadInputError", "2 match: 0000:03:00.0 (eth0; vendor 0x8086;"),
    ({"pf": "eth0", "ids": "0-7"}, "BadInputError", "PF eth0: ids: 7 is out of range: the highest one is 6"),
    ({"pf": NVME, "ids": 0, "vlan": 5}, "BadInputError", "vlan cannot be set: it has no network interface"),
    (
        {"pf": "eth0", "ids": 0, "state": "absent", "vlan": 5},
        "BadInputError",
        "sriov_vf.vlan: VFs that are to be absent",
    ),
]


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize(("args", "kind", "words"), REFUSED)
def test_bad_input_writes_nothing(
    tmp_path: Path, call: Call, interface: str, args: dict[str, Any], kind: str, words: str
) -> None:
    host = make(tmp_path, interface)
    for check in (True, False):
        result = call(host, **args, _ansible_check_mode=check)
        assert (result["failed"], result["kind"]) == (True, kind)
        assert words in result["msg"]
    assert (host.sysfs.writes, host.run.calls) == ([], [])


def test_takes_the_same_specs_as_the_document() -> None:
    """The options of `sriov_pf`, but for `ids` and `driver`.

    These have texts of their own: here no VF can be enabled but absent.
    """
    alone = yaml.safe_load(sriov_vf.DOCUMENTATION)["options"]
    inside = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]["pfs"]["suboptions"]["vfs"]["suboptions"]
    assert set(inside) == set(VF_OPTIONS)
    assert set(alone) == {"pf", "state", "allow_disruptive", "force", "detail", *VF_OPTIONS}
    for name in set(inside) - {"ids", "driver"}:
        text = json.dumps(inside[name]).replace("O(pfs[].vfs[].", "O(")
        assert json.dumps(alone[name]) == text


def test_all_mistakes_in_arguments_are_named_as_in_documents(tmp_path: Path, call: Call) -> None:
    """Also those that Ansible's own check, which names one alone, finds first."""
    result = call(make(tmp_path, "stock"), pf="eth0", ids="x", vlna=3, mac=41135085296, vlan="many")
    assert (result["failed"], result["kind"]) == (True, "BadInputError")
    assert result["msg"].splitlines() == [
        "4 mistakes:",
        "- sriov_vf.vlna: unknown key; did you mean 'vlan'?",
        "- sriov_vf.ids: 'x' is not a VF id or a range; write '0-3,200', a list, 'all' or 'none'",
        "- sriov_vf.mac: 41135085296 is what YAML makes of 52:54:00:12:34:56 without quotes; write '52:54:00:12:34:56' "
        "in quotes",
        "- sriov_vf.vlan: 'many' is not a whole number from 0 to 4094",
    ]


def test_ansible_names_what_only_ansible_refuses(tmp_path: Path, call: Call) -> None:
    result = call(make(tmp_path, "stock"), pf="eth0", ids=1, force="perhaps")
    assert "force" in result["msg"]
    assert "perhaps" in result["msg"]
