# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results for thousands of VFs, each with an address of its own."""

from __future__ import annotations

import difflib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.modules import sriov_pf
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

PFS, VFS = 10, 250
MOST_BYTES, MOST_LINES = 50_000, 100


def fresh(folder: Path, pfs: int = PFS, vfs: int = VFS) -> FakeHost:
    host = FakeHost(folder, "vf-id", ("igb", "vfio-pci"))
    for index in range(pfs):
        pf = FakePf(f"0000:{2 * index + 1:02x}:00.0", vfs, netdev=f"eth{index}", offset=128, stride=1)
        host.pfs[pf.address] = pf
    host.draw()
    return host


def declared(host: FakeHost, seed: int | None) -> list[dict[str, Any]]:
    """PFs whose VFs have MAC addresses in sequence, or by chance."""
    chance = None if seed is None else random.Random(seed)
    return [
        {
            "pf": pf.address, "hardware_vfs": pf.total, "present_vfs": "all", "drivers_autoprobe": False,
            "vfs": [
                {"ids": "all", "driver": "vfio-pci"},
                *({"ids": i, "mac": one} for i, one in enumerate(_macs(index, pf.total, chance))),
            ],
        }
        for index, pf in enumerate(host.pfs.values())
    ]  # fmt: skip


def _macs(index: int, number: int, chance: random.Random | None) -> list[str]:
    lows = range(number) if chance is None else chance.sample(range(2**16), number)
    return [f"02:00:00:{index:02x}:{low >> 8:02x}:{low & 255:02x}" for low in lows]


def call(host: FakeHost, capsys: pytest.CaptureFixture[str], **arguments: Any) -> tuple[dict[str, Any], int]:  # noqa: ANN401 - any argument
    with patch_module_args(arguments), pytest.raises(SystemExit):
        sriov_pf.main(host.sysfs, host.run)
    text = capsys.readouterr().out
    return dict(json.loads(text)), len(text)


def lines(diff: dict[str, Any]) -> int:
    """Lines that Ansible shows of a diff (plugins/callback, ``_get_diff``)."""
    before, after = (json.dumps(diff[side], sort_keys=True, indent=4).splitlines() for side in ("before", "after"))
    return len(list(difflib.unified_diff(before, after, n=3)))


@pytest.mark.parametrize("seed", [None, 7], ids=["in sequence", "by chance"])
def test_results_are_short(tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int | None) -> None:
    """Results with the times of an apply, too.

    One of this size takes minutes on the fake kernel; the next tests apply less.
    """
    host = fresh(tmp_path)
    pfs = declared(host, seed)
    check, size = call(host, capsys, pfs=pfs, _ansible_diff=True, _ansible_check_mode=True)
    assert lines(check["diff"]) <= MOST_LINES
    planned = converge(host.sysfs, host.run, validate({"pfs": pfs}), check=True)
    times = tuple({**step.to_dict(), "seconds": 0.0123} for step in planned.plan.steps)
    assert len(times) > 3 * PFS * VFS
    done = planned._replace(seconds=12.3, times=times).to_dict(diff=True)
    assert all(check[key] == done[key] for key in ("steps", "notes", "diff", "changed"))
    assert size + len(json.dumps(done["times"])) <= MOST_BYTES
    assert len(done["steps"]) < 10 * PFS


def test_check_mode_and_apply_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = fresh(tmp_path, 2, 20)
    asked = {"pfs": declared(host, 7), "_ansible_diff": True}
    check, _size = call(host, capsys, **asked, _ansible_check_mode=True)
    done, _size = call(host, capsys, **asked)
    assert {len(pf.vfs) for pf in host.pfs.values()} == {20}
    assert all(check[key] == done[key] for key in ("steps", "notes", "diff", "changed"))
    again, size = call(host, capsys, pfs=asked["pfs"])
    assert (again["changed"], "diff" in again, again["steps"]) == (False, False, [])
    assert size < 3_000


@pytest.mark.slow
def test_an_apply_of_all_pfs_is_as_short_and_as_predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = fresh(tmp_path, PFS, 50)
    asked = {"pfs": declared(host, 7), "_ansible_diff": True}
    check, _size = call(host, capsys, **asked, _ansible_check_mode=True)
    done, size = call(host, capsys, **asked)
    assert {len(pf.vfs) for pf in host.pfs.values()} == {50}
    assert all(check[key] == done[key] for key in ("steps", "notes", "diff", "changed"))
    assert lines(done["diff"]) <= MOST_LINES
    assert size <= MOST_BYTES


def test_full_detail_has_each_vf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = fresh(tmp_path, 1)
    (first, *_others) = declared(host, 7)
    asked = {"pfs": [first], "detail": "full", "_ansible_diff": True}
    result, _size = call(host, capsys, **asked, _ansible_check_mode=True)
    assert len(result["diff"]["after"][first["pf"]]["vfs"]) == VFS
    assert sum(row["step"] == "properties" for row in result["steps"]) == VFS
    assert len(result["document"]["pfs"][0]["vfs"]) == VFS + 1
