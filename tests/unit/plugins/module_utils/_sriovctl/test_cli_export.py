# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`sriovctl export`, on a fake tree."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import cli, invocation
from tests.fake.linux.host import FakeHost

IGB, NVME = "0000:03:00.0", "0000:04:00.0"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """A fake host that the program takes for its own."""
    host = FakeHost(tmp_path / "root")
    host.igb(IGB)
    host.nvme(NVME)
    monkeypatch.setattr(invocation, "machine", lambda _arguments: (host.sysfs, host.run))
    return host


def test_export_then_plan(host: FakeHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    host.setup(host.pfs[IGB], 7, [0, 6], "vfio-pci")
    assert cli.main(["export"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["pfs"][0]["present_vfs"] == "0,6"
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert cli.main(["plan", "-"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing to do."


def test_export_for_an_inventory(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "--yaml", "class=nvme"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "sriov_pfs:",
        '  - pf: "0000:04:00.0"',
        "    hardware_vfs: 0",
        '    present_vfs: "none"',
        "    drivers_autoprobe: true",
    ]


def test_export_notes_do_not_disturb_the_document(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.setup(host.pfs[NVME], 2, [0, 1])
    assert cli.main(["export"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["pfs"][0] == {
        "pf": NVME, "hardware_vfs": 2, "present_vfs": "all", "drivers_autoprobe": True,
    }  # fmt: skip
    assert shown.err.startswith(f"sriovctl: note: PF {NVME}: VFs 0-1 have no driver though autoprobe is on")


def test_export_leaves_a_blocked_pf_out(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.setup(host.pfs[NVME], 2, [0, 1], "nvme")
    host.block(host.pfs[IGB], "/sys/x", "0")
    assert cli.main(["export"]) == 0
    shown = capsys.readouterr()
    assert [pf["pf"] for pf in json.loads(shown.out)["pfs"]] == [NVME]
    assert shown.err.startswith(f"sriovctl: note: PF {IGB} is left out, as it cannot be read: process ")


def test_export_below_another_root_runs_no_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = FakeHost(tmp_path / "root")
    host.setup(host.igb(IGB), 7, [6], "vfio-pci")
    assert cli.main(["--root", str(host.root), "export"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "sriovctl: note: properties of VFs cannot be read below another root\n"
    assert json.loads(shown.out)["pfs"][0]["vfs"] == [{"ids": "6", "driver": "vfio-pci"}]


def test_export_says_what_it_could_not_read(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.setup(host.pfs[IGB], 7, [6])
    host.run.missing = {"ip"}
    assert cli.main(["export"]) == 0
    assert f"sriovctl: note: PF {IGB}: altnames, mac and properties of VFs: 'ip " in capsys.readouterr().err
