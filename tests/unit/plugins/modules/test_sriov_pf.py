# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole module on a fake host.

Check mode, a change, again, again in check mode; and refusals.
"""

from __future__ import annotations

import json
import locale
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import journal, last_apply
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.journal_entry import JournalEntry
from ansible_collections.kvmfleet.sriov.plugins.modules import sriov_pf
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

IGB, NVME = "0000:03:00.0", "0000:04:00.0"


def make(folder: Path, interface: str = "vf-id") -> FakeHost:
    host = FakeHost(folder / "root", interface)
    host.igb(IGB)
    host.nvme(NVME)
    return host


def run(host: FakeHost, capsys: pytest.CaptureFixture[str], **args: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    with patch_module_args(args), pytest.raises(SystemExit):
        sriov_pf.main(host.sysfs, host.run)
    return dict(json.loads(capsys.readouterr().out))


def four_runs(host: FakeHost, capsys: pytest.CaptureFixture[str], **args: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    """Run the module four times and return the second result.

    The runs are check mode, a change, again, again in check mode.
    """
    before = host.picture()
    check = run(host, capsys, **args, _ansible_check_mode=True, _ansible_diff=True)
    assert host.picture() == before
    do = run(host, capsys, **args, _ansible_diff=True)
    after = host.picture()
    again = run(host, capsys, **args)
    again_check = run(host, capsys, **args, _ansible_check_mode=True)
    assert [check["changed"], do["changed"], again["changed"], again_check["changed"]] == [True, True, False, False]
    assert not {"diff", "document"} & again.keys() or args.get("detail") == "full"
    for key in ("steps", "notes", "diff"):
        assert check[key] == do[key]
    assert again["steps"] == again_check["steps"] == []
    assert host.picture() == after
    return do


EXAMPLES = [task["kvmfleet.sriov.sriov_pf"] for task in yaml.safe_load(sriov_pf.EXAMPLES)]


@pytest.mark.parametrize("interface", ["vf-id", "vf-id-narrow", "stock"])
@pytest.mark.parametrize("args", EXAMPLES[:3])
def test_documented_examples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], interface: str, args: dict[str, Any]
) -> None:
    four_runs(make(tmp_path, interface), capsys, **args)


def test_documented_example_turns_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    host.setup(host.pfs[IGB], 7, range(7), "igbvf")
    four_runs(host, capsys, **EXAMPLES[-1])
    assert host.pfs[IGB].enabled == 0


def test_first_example_does_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    result = four_runs(host, capsys, **EXAMPLES[0])
    pf = host.pfs[IGB]
    assert (pf.enabled, set(pf.vfs), pf.autoprobe) == (7, {0, 1, 6}, False)
    assert {vf.driver for vf in pf.vfs.values()} == {"vfio-pci"}
    assert (pf.properties[6]["mac"], pf.properties[6]["vlan"]) == ("02:00:00:00:00:06", 100)
    assert [step["step"] for step in result["steps"]] == [
        "autoprobe", "enable", "properties", "read back", "add", "load driver", "override", "bind",
    ]  # fmt: skip
    assert all(row["seconds"] >= 0 for row in result["times"])
    assert "present_vfs none" in result["diff"]["before"][IGB]["pf"]
    assert "present_vfs 0-1,6" in result["diff"]["after"][IGB]["pf"]


@pytest.mark.parametrize("interface", ["vf-id", "vf-id-narrow", "stock"])
@pytest.mark.parametrize("args", EXAMPLES[3:-1])
def test_documented_examples_of_other_devices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], interface: str, args: dict[str, Any]
) -> None:
    host = FakeHost(tmp_path / "root", interface, ("igb", "igbvf", "mlx5_core"))
    host.igb(IGB)
    mlx5, infiniband = host.mlx5(netdev="eth5"), host.ipoib()
    four_runs(host, capsys, **args)
    pf = {"eth0": host.pfs[IGB], "ib0": infiniband}.get(args["pfs"][0]["pf"], mlx5)
    assert pf.enabled == args["pfs"][0]["hardware_vfs"]
    if pf is infiniband:
        guids = [pf.properties[3]["node_guid"], pf.properties[3]["port_guid"]]
        assert guids == ["02:00:00:00:00:00:10:03", "02:00:00:00:00:00:20:03"]
    elif pf is mlx5:
        assert (pf.eswitch, pf.vectors) == ("switchdev", {0: 32, 1: 32})
        assert len({str(properties["mac"]) for properties in pf.properties.values()}) == 8
    else:
        assert (pf.mtu, pf.properties[6]["mac"]) == (9000, "02:00:00:00:10:06")


# arguments of the PF, kind of the error, words of its message
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (
        {"pf": "0000:09:00.0", "hardware_vfs": 1},
        "BadInputError",
        "'0000:09:00.0' is not on this host; PFs of this host",
    ),
    ({"pf": "eth9", "hardware_vfs": 1}, "BadInputError", "'eth9' is not on this host"),
    ({"pf": IGB, "hardware_vfs": 8}, "BadInputError", "hardware_vfs 8 is out of range: it has at most 7 VFs"),
    ({"pf": IGB, "hardware_vfs": "many"}, "BadInputError", "pfs[0].hardware_vfs: 'many' is not a number"),
    ({"pf": IGB, "hardware_vfs": 4, "present_vfs": "0-4"}, "BadInputError", "present_vfs: 4 is out of range"),
    ({"pf": IGB, "present_vfs": "0"}, "BadInputError", "present_vfs: 0 is out of range: there are none"),
    ({"pf": IGB, "vfs": [{"ids": "0-1", "mac": "02:00:00:00:00:01"}]}, "BadInputError", "to several VFs"),
    ({"pf": NVME, "hardware_vfs": 2, "vfs": [{"ids": 0, "vlan": 5}]}, "BadInputError", "no network interface"),
    ({"pf": NVME, "mtu": 9000}, "BadInputError", "mtu cannot be set: it has no network interface"),
    ({"pf": IGB, "mtu": 9217}, "BadInputError", "mtu 9217 is out of range: eth0 takes 68 to 9216 (EINVAL)"),
    ({"pf": IGB, "eswitch_mode": "switchdev"}, "BadInputError", "its driver has no eswitch (ENODEV (No such device))"),
    (
        {"pf": IGB, "hardware_vfs": 2, "present_vfs": "all", "vfs": [{"ids": 0, "msix_vectors": 4}]},
        "BadInputError",
        "igb has no vectors to share out",
    ),
    (
        {"pf": IGB, "hardware_vfs": 7, "vfs": [{"ids": "all", "mac": "02:00:00:ff:ff:fc+id"}]},
        "BadInputError",
        "overflows with VF 6: its last 3 octets have room up to id 3",
    ),
]


@pytest.mark.parametrize("interface", ["vf-id", "vf-id-narrow", "stock"])
@pytest.mark.parametrize(("pf", "kind", "words"), REFUSED)
def test_bad_input_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], interface: str, pf: dict[str, Any], kind: str, words: str
) -> None:
    host = make(tmp_path, interface)
    good = {"pf": NVME if pf["pf"] == IGB else IGB, "hardware_vfs": 2}
    for check in (True, False):
        result = run(host, capsys, pfs=[good, pf] if pf["pf"] == NVME else [pf, good], _ansible_check_mode=check)
        assert result["failed"]
        assert result["kind"] == kind
        assert words.replace("pfs[0]", "pfs[1]" if pf["pf"] == NVME else "pfs[0]") in result["msg"]
    assert (host.sysfs.writes, host.run.calls) == ([], [])


def test_unreadable_sysfs_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    (host.root / f"sys/bus/pci/devices/{NVME}/sriov_totalvfs").write_text("garbage\n")
    result = run(host, capsys, pfs=[{"pf": IGB, "hardware_vfs": 2}, {"pf": NVME, "hardware_vfs": 2}])
    assert "sriov_totalvfs" in result["msg"]
    assert host.sysfs.writes == []


@pytest.mark.parametrize("check", [True, False])
def test_vf_in_use_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str], check: bool) -> None:
    host = make(tmp_path)
    pf = host.pfs[IGB]
    host.setup(pf, 7, [0, 6], "vfio-pci")
    host.hold(pf, 6)
    result = run(host, capsys, pfs=[{"pf": IGB, "present_vfs": "0"}], _ansible_check_mode=check)
    assert result["kind"] == "RefusedError"
    assert "VF 6 of PF 0000:03:00.0 by VM web1, process 4711 (qemu-system-x86)" in result["msg"]
    assert host.sysfs.writes == []


def test_vf_in_use_does_not_hinder_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    pf = host.pfs[IGB]
    host.setup(pf, 7, [0, 6], "vfio-pci")
    host.hold(pf, 6)
    four_runs(host, capsys, pfs=[{"pf": IGB, "present_vfs": "1,6"}])
    assert set(pf.vfs) == {1, 6}


def test_number_with_present_vfs_must_be_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    pf = host.pfs[IGB]
    host.setup(pf, 4, [0, 3], "vfio-pci")
    args = {"pfs": [{"pf": IGB, "hardware_vfs": 7}]}
    for check in (True, False):
        result = run(host, capsys, **args, force=True, _ansible_check_mode=check)
        assert (result["kind"], host.sysfs.writes) == ("RefusedError", [])
        assert "takes the present VFs 0,3 away; declare hardware_vfs: 4, or allow it with allow_d" in result["msg"]
    done = four_runs(host, capsys, **args, allow_disruptive=True)
    assert done["notes"][0].endswith("takes the present VFs 0,3 away; VFs 0,3 come back as new devices")
    assert done["steps"][1] == {"pf": IGB, "step": "disable", "vfs": "0,3", "before": "4", "after": "0"}
    assert (pf.enabled, {i: vf.driver for i, vf in pf.vfs.items()}) == (
        7,
        {**dict.fromkeys(range(7), "igbvf"), 0: "vfio-pci", 3: "vfio-pci"},
    )


def test_disruption_may_be_allowed_for_one_pf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    for pf in host.pfs.values():
        host.setup(pf, 4, [0])
    args = [{"pf": IGB, "hardware_vfs": 7, "allow_disruptive": True}, {"pf": NVME, "hardware_vfs": 7}]
    result = run(host, capsys, pfs=args)
    assert result["kind"] == "RefusedError"
    assert (NVME in result["msg"], IGB in result["msg"]) == (True, False)
    assert four_runs(host, capsys, pfs=args[:1], detail="full")["document"]["pfs"][0]["allow_disruptive"] is True


def test_allowing_disruption_does_not_take_vfs_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    pf = host.pfs[IGB]
    host.setup(pf, 4, [0, 3], "vfio-pci")
    host.hold(pf, 3)
    for check in (True, False):
        result = run(
            host, capsys, pfs=[{"pf": IGB, "hardware_vfs": 7}], allow_disruptive=True, _ansible_check_mode=check
        )
        assert result["kind"] == "RefusedError"
        assert "VF 3 of PF 0000:03:00.0 by VM web1" in result["msg"]
    assert host.sysfs.writes == []


def test_one_pf_fails_the_other_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    host.pfs[NVME].needs_up = frozenset({"enable"})  # which it never is
    before = host.pfs[NVME].picture()
    result = run(host, capsys, pfs=[{"pf": pf, "hardware_vfs": 2, "present_vfs": "all"} for pf in (IGB, NVME)])
    assert result["kind"] == "ApplyError"
    assert list(result["failed_pfs"]) == [NVME]
    assert "all VFs added" in result["msg"] or "cannot write" in result["msg"]
    assert f"changed as planned: {IGB}" in result["msg"]
    assert host.pfs[IGB].enabled == 2
    assert host.pfs[NVME].picture() == before


def test_property_that_does_not_stick_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Read back before the VF becomes present."""
    host = FakeHost(tmp_path / "root")
    pf = host.add(FakePf(IGB, netdev="eth0", ignores=frozenset({"spoofchk"})))
    before = host.picture()
    spec = {"pf": IGB, "hardware_vfs": 2, "present_vfs": "1", "vfs": [{"ids": 1, "spoofchk": False}]}
    result = run(host, capsys, pfs=[spec])
    assert "wanted spoofchk off, the driver reports spoofchk on" in result["msg"]
    assert host.picture() == before
    assert not [path for path, _value in host.sysfs.writes if path.endswith("scan_vf_id")]
    assert pf.enabled == 0


def test_driver_that_does_not_bind_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    host.reluctant.add("vfio-pci")
    before = host.picture()
    spec = {"pf": IGB, "hardware_vfs": 2, "present_vfs": "1", "vfs": [{"ids": 1, "driver": "vfio-pci"}]}
    result = run(host, capsys, pfs=[spec])
    assert "/drivers/vfio-pci/bind: ENODEV" in result["msg"]
    assert "the driver does not take the VF, or the VF has gone" in result["msg"]
    assert host.picture() == before


def test_pf_driver_that_needs_every_vf_is_served_as_on_stock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A PF driver that has not opted in; check mode cannot know.

    Only the kernel's answer to a write shows it.
    """
    host = FakeHost(tmp_path / "root")
    pf = host.add(FakePf(IGB, driver="ixgbe", netdev="eth0", opt_in=False))
    spec = {"pf": IGB, "hardware_vfs": 3, "present_vfs": "1", "drivers_autoprobe": False}
    result = run(host, capsys, pfs=[spec])
    assert (pf.enabled, set(pf.vfs), pf.autoprobe) == (3, {0, 1, 2}, False)
    assert [step["step"] for step in result["steps"]] == ["autoprobe", "enable"]
    assert "driver ixgbe has not declared that it can live with absent VFs" in result["notes"][0]
    again = run(host, capsys, pfs=[spec])
    assert (again["changed"], again["notes"]) == (False, result["notes"])


def test_pf_driver_that_needs_every_vf_is_asked_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The kernel's answer, noted for the runs that follow.

    Otherwise VFs would be unbound for it again and again, and one in use would be a refusal for ever.
    """
    host = FakeHost(tmp_path / "root")
    pf = host.add(FakePf(IGB, driver="ixgbe", netdev="eth0", opt_in=False))
    spec = {"pf": IGB, "hardware_vfs": 3, "present_vfs": "1", "vfs": [{"ids": "all", "driver": "vfio-pci"}]}
    done = run(host, capsys, pfs=[spec])
    assert (done["changed"], {vf.driver for vf in pf.vfs.values()}) == (True, {"vfio-pci"})
    host.hold(pf, 2)
    writes = len(host.sysfs.writes)
    for check in (False, True):
        again = run(host, capsys, pfs=[spec], _ansible_check_mode=check)
        assert (again["changed"], again["notes"]) == (False, done["notes"])
    assert len(host.sysfs.writes) == writes
    host.end_holders(pf)
    host.setup(pf, 0)
    pf.driver, pf.opt_in = "igb", True
    host.draw()
    run(host, capsys, pfs=[spec])
    assert set(pf.vfs) == {1}, "what was noted is of another driver"


def test_during_a_live_update_nothing_is_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    folder = host.root / "var/lib/kvmfleet-sriov/live-update"
    folder.mkdir(parents=True)
    status = {"manifest": "a" * 32, "phase": "filling", "boot_id": "b1", "time": 1.0, "message": ""}
    (folder / "status.json").write_text(json.dumps(status))
    (host.root / "proc/sys/kernel/random").mkdir(parents=True)
    (host.root / "proc/sys/kernel/random/boot_id").write_text("b1\n")
    (host.root / "proc/cmdline").write_text("quiet\n")
    args = {"pfs": [{"pf": IGB, "hardware_vfs": 2}]}
    result = run(host, capsys, **args)
    assert result["kind"] == "RefusedError"
    assert "phase filling" in result["msg"]
    assert run(host, capsys, pfs=[{"pf": IGB, "hardware_vfs": 0}])["kind"] == "RefusedError"
    (host.root / "proc/sys/kernel/random/boot_id").write_text("b2\n")
    assert run(host, capsys, **args)["changed"]


@pytest.mark.parametrize(("number", "check", "result"), [(2, False, "done"), (9, False, "bad_input"), (2, True, None)])
def test_it_is_noted_for_metrics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, check: bool, result: str | None
) -> None:
    """The result of an apply, but not of check mode."""
    host = make(tmp_path)
    run(host, capsys, pfs=[{"pf": IGB, "hardware_vfs": number}], _ansible_check_mode=check)
    last = last_apply.read(host.sysfs)
    assert (last.result if last else None) == result


def test_drivers_stay_after_disabling_all_with_autoprobe_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """VFs bound to the driver that autoprobe had chosen.

    It was not declared away.
    """
    host = make(tmp_path)
    pf = host.pfs[IGB]
    host.setup(pf, 4, range(4), "igbvf")
    host.draw()
    spec = {"pf": IGB, "hardware_vfs": 6, "drivers_autoprobe": False, "allow_disruptive": True}
    run(host, capsys, pfs=[spec])
    assert (pf.autoprobe, {vf_id: vf.driver for vf_id, vf in pf.vfs.items()}) == (
        False,
        {**dict.fromkeys(range(4), "igbvf"), 4: None, 5: None},
    )


def test_properties_are_there_before_any_driver_on_a_stock_kernel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Properties set without autoprobe, as enabling adds all VFs."""
    host = make(tmp_path, "stock")
    spec = {"pf": IGB, "hardware_vfs": 2, "vfs": [{"ids": "all", "mac": "02:00:00:00:00:01+id"}]}
    done = run(host, capsys, pfs=[spec])
    assert [step["step"] for step in done["steps"]] == [
        "autoprobe", "enable", "properties", "read back", "autoprobe", "bind"
    ]  # fmt: skip
    assert [vf.driver for vf in host.pfs[IGB].vfs.values()] == ["igbvf", "igbvf"]
    assert host.pfs[IGB].autoprobe


def test_disabling_that_the_driver_refuses_when_its_vfs_are_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """VFs that the kernel has added again, as new devices."""
    host = make(tmp_path)
    pf = host.pfs[IGB]
    host.setup(pf, 3, range(3), "vfio-pci")
    pf.busy, pf.vfs[2].driver = True, None
    host.draw()
    before = host.picture()
    result = run(host, capsys, pfs=[{"pf": IGB, "hardware_vfs": 0, "allow_disruptive": True}])
    assert "EAGAIN" in result["msg"]
    assert "the PF is back in its previous state" in result["msg"]
    assert host.picture() == before


def test_all_in_a_list_is_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    run(
        host, capsys, pfs=[{"pf": IGB, "hardware_vfs": 2, "present_vfs": ["all"], "vfs": [{"ids": ["all"], "vlan": 5}]}]
    )
    assert set(host.pfs[IGB].vfs) == {0, 1}
    run(host, capsys, pfs=[{"pf": IGB, "present_vfs": ["none"]}])
    assert set(host.pfs[IGB].vfs) == set()


def test_words_of_errors_are_those_of_the_c_locale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The C locale, by which the errno of `ip` is found.

    AnsibleModule sets the user's locale.
    """
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    run(make(tmp_path), capsys, pfs=[{"pf": IGB, "hardware_vfs": 1}])
    assert locale.setlocale(locale.LC_MESSAGES) == "C"


def test_notes_that_ask_for_an_action_are_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings for an action that is needed, not for standing notes.

    Thousands of hosts would warn at every run.
    """
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warned.append(text))
    host = make(tmp_path, "stock")
    declared = {"pfs": [{"pf": NVME, "hardware_vfs": "4", "present_vfs": "0-1"}]}
    assert "cannot leave VFs 2-3 out" in run(host, capsys, **declared)["notes"][0]
    assert warned == []
    journal.note(host.sysfs, NVME, JournalEntry(probed=frozenset({1})))
    for check in (True, False):
        again = run(host, capsys, **declared, _ansible_check_mode=check)
        assert len(again["notes"]) == 2
        assert [warned.pop()] == [note for note in again["notes"] if "did not come to its end" in note]
    run(host, capsys, **declared)
    assert warned == []


def test_all_mistakes_are_named_as_in_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path)
    pfs = [{"pf": IGB, "vfs": [{"ids": "0-1", "6": None, "vlna": 3}]}, {"pf": "eth0", "hardware_vf": 1}, "eth1"]
    result = run(host, capsys, pfs=pfs)
    assert (result["kind"], host.sysfs.writes) == ("BadInputError", [])
    assert [line[:43] for line in result["msg"].splitlines()] == [
        "4 mistakes:",
        "- pfs[0].vfs[0].ids: YAML has cut a list at",
        "- pfs[0].vfs[0].vlna: unknown key; did you ",
        "- pfs[1].hardware_vf: unknown key; did you ",
        "- pfs[2]: 'eth1' is not a mapping with the ",
    ]
