# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rehearsals, and the estimates that rest on them."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import live_update_module, rehearsal_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import rehearsal, rehearse_disks
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.rehearsal import Boot, Disk, Rehearsal
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.disk_speed import Speed
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import NEW, FakeNode
from tests.fake.vm.update import arm

PATH = "/var/lib/kvmfleet-sriov/rehearsal.json"
DISK = Disk("/var/lib/kvmfleet-sriov", 400.0, 160.0, 64, True, 1000.0)
BOOT = Boot(NEW, "6.12.0-old", 3.5, 128, 1000.0)


def measured(_folder: str, mib: int, _longest_s: float) -> Speed:
    return Speed(400.0, 160.0, mib, True)


def known(node: FakeNode) -> Rehearsal:
    return rehearsal.load(node.host.sysfs)


def test_what_is_measured_is_kept(node: FakeNode, pf: FakePf) -> None:
    """Beside a running VM, and its boots stay."""
    node.put(PATH, "{}")
    rehearsal.store(node.host.sysfs, Rehearsal(boots={NEW: BOOT}))
    before, after = rehearse_disks.run(node.live, 64, False, measured)
    assert (before.disks, known(node)) == ({}, after)
    disk = after.disks["/dev/vda"]
    assert (disk.rate, disk.mib, disk.folder) == (160.0, 64, "/var/lib/kvmfleet-sriov")
    assert after.boots == {NEW: BOOT}
    assert (node.host.root / PATH[1:]).stat().st_mode & 0o777 == 0o600
    assert node.qemus[0].status == "running"


def test_check_mode_measures_nothing(node: FakeNode, pf: FakePf) -> None:
    def never(*_words: object) -> Speed:
        raise AssertionError("measured")

    assert rehearse_disks.run(node.live, 64, True, never) == (Rehearsal(), Rehearsal())
    assert not (node.host.root / PATH[1:]).exists()


def test_not_while_an_update_is_under_way(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    with pytest.raises(RefusedError, match="in phase armed on this host and needs its disk"):
        rehearse_disks.run(node.live, 64, False, measured)


def test_not_without_space(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The VMs' own disks may be there."""
    real = os.statvfs(node.host.root)
    free = real.f_bavail * real.f_frsize // (1 << 20)
    with pytest.raises(RefusedError, match="would leave less than 256 of"):
        rehearse_disks.run(node.live, free - 255, True, measured)
    monkeypatch.setattr(rehearse_disks, "SPARE_MIB", 16)
    rehearse_disks.run(node.live, 16, True, measured)


def test_a_damaged_file_is_begun_anew(node: FakeNode, pf: FakePf) -> None:
    node.put(PATH, "[")
    _before, after = rehearse_disks.run(node.live, 64, False, measured)
    assert known(node) == after


class Module:
    def __init__(self, **params: object) -> None:
        self.params, self.check_mode = params, False


@pytest.mark.parametrize("size", [0, 15, 65537])
def test_sizes_have_bounds(node: FakeNode, size: int) -> None:
    with pytest.raises(BadInputError, match="size_mib"):
        rehearsal_module.declare(Module(size_mib=size), node.live)  # type: ignore[arg-type]  # a part of a module


def test_the_module_measures_for_real(node: FakeNode) -> None:
    answer = rehearsal_module.declare(Module(size_mib=16), node.live)  # type: ignore[arg-type]  # a part of a module
    assert answer["changed"]
    assert answer["rehearsal"] == answer["diff"]["after"] == json.loads((node.host.root / PATH[1:]).read_text())
    assert answer["diff"]["before"]["disks"] == {}


@pytest.mark.parametrize(
    ("kept", "given", "rate", "boot", "basis"),
    [
        (Rehearsal(), {}, 200.0, 10.0, ("default", "default")),
        (Rehearsal({"d": DISK}, {NEW: BOOT}), {}, 160.0, 3.5, ("rehearsal of /var/lib/kvmfleet-sriov", "rehearsal")),
        (Rehearsal({"d": DISK}, {NEW: BOOT}), {"rate_mib_s": 90.0, "boot_s": 7.0}, 90.0, 7.0, ("option", "option")),
    ],
    ids=["nothing", "measured", "given"],
)
def test_on_what_figures_rest(
    node: FakeNode, kept: Rehearsal, given: dict[str, Any], rate: float, boot: float, basis: tuple[str, str]
) -> None:
    node.put(PATH, "{}")
    rehearsal.store(node.host.sysfs, kept)
    options, found = rehearsal.applied(node.host.sysfs, Options(**given), given, NEW)
    assert (options.rate_mib_s, options.boot_s) == (rate, boot)
    assert (found["rate_mib_s"], found["boot_s"]) == basis


def test_the_boot_of_another_kernel_is_better_than_none(node: FakeNode) -> None:
    """The longest of those that are known, and said to be another's."""
    node.put(PATH, "{}")
    boots = {name: Boot(name, "o", seconds, 128, 1.0) for name, seconds in (("a", 3.0), ("b", 5.0))}
    rehearsal.store(node.host.sysfs, Rehearsal(boots=boots))
    options, basis = rehearsal.applied(node.host.sysfs, Options(), {}, "c")
    assert (options.boot_s, basis["boot_s"]) == (5.0, "rehearsal into b, another kernel")


def test_the_preflight_rests_on_it_and_says_so(node: FakeNode, pf: FakePf) -> None:
    node.put(PATH, "{}")
    rehearsal.store(node.host.sysfs, Rehearsal({"d": DISK}, {NEW: BOOT}))
    params = {
        "kernel": NEW, "initrd": "auto", "command_line": "", "budget_s": 60.0, "host": "h1", "owner": "",
        "take_over": False, "vms": [], "options": {"drivers_s": 0.5},
    }  # fmt: skip
    answer = live_update_module.info(Module(**params), node.live)["preflight"]  # type: ignore[arg-type]  # a part of a module
    assert answer["estimate"]["boot"] == 3.5
    assert answer["estimate_basis"] == {"rate_mib_s": "rehearsal of /var/lib/kvmfleet-sriov", "boot_s": "rehearsal"}


GOOD = Rehearsal({"d": DISK}, {NEW: BOOT}).to_dict()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "schema 2"),
        ({"disks": []}, "disks: expected an object"),
        ({"disks": {"d": {}}}, "disks.d: not what"),
        ({"disks": {"d": {**GOOD["disks"]["d"], "write_mib_s": 0}}}, "write_mib_s: 0 cannot be"),
        ({"disks": {"d": {**GOOD["disks"]["d"], "read_mib_s": float("inf")}}}, "read_mib_s"),
        ({"disks": {"d": {**GOOD["disks"]["d"], "mib": True}}}, "mib: True"),
        ({"boots": {"b": {**GOOD["boots"][NEW], "seconds": "3"}}}, "seconds: '3'"),
        ({"boots": {"b": {**GOOD["boots"][NEW], "release": 3}}}, "release: 3"),
    ],
)
def test_what_cannot_be_stops_no_update(node: FakeNode, change: dict[str, Any], words: str) -> None:
    node.put(PATH, json.dumps({**GOOD, **change}))
    with pytest.raises(BadInputError, match=words):
        known(node)
    options, basis = rehearsal.applied(node.host.sysfs, Options(), {}, NEW)
    assert (options, words in basis["rate_mib_s"]) == (Options(), True)
