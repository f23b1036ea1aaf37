# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of ``sriovctl live-update``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import reservation
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.reservation import Reservation
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.status import Progress, new_result
from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import cli
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import update_folder
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import Folder


def test_sriovctl_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--root", str(tmp_path)]
    assert cli.main([*root, "live-update", "status"]) == 0
    assert cli.main([*root, "live-update", "status", "--json"]) == 0
    assert capsys.readouterr().out == "no live update\nnull\n"
    folder = tmp_path / "var/lib/kvmfleet-sriov/live-update"
    folder.mkdir(parents=True)
    progress = Progress(Folder(str(folder)), "m1", "b1", new_result("m1", "h1", "old"), iter([1.0, 3.5]).__next__)
    progress.enter(update_folder.SAVING)
    progress.update_vm("web1", result="save-failed", error="it said no")
    progress.enter(update_folder.KEXEC, "jump")
    assert cli.main([*root, "live-update", "status"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "live update m1: kexec  jump",
        "  saving          2.50 s",
        "  kexec          running",
        "  VM web1                 save-failed  it said no",
    ]
    assert cli.main([*root, "live-update", "result"]) == 0
    assert json.loads(capsys.readouterr().out)["manifest"] == "m1"


@pytest.mark.parametrize(("owner", "words"), [("controller", " --take-over"), ("sriovctl on this host", "")])
def test_status_prints_commands_that_can_be_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, owner: str, words: str
) -> None:
    """Where somebody else has reserved the host, they take it over."""
    monkeypatch.setattr(sys, "argv", ["sriovctl"])
    folder = Folder(str(tmp_path / "var/lib/kvmfleet-sriov/live-update"))
    folder.make_vm("web1")
    reservation.store(folder, Reservation(owner, "m1", time.time(), time.time() + 100))
    Progress(folder, "m1", "b1", new_result("m1", "h1", "old")).finish(update_folder.FAILED, "failed")
    (Path(folder.vm("web1")) / "claim.json").write_text("{")
    assert cli.main(["--root", str(tmp_path), "live-update", "status"]) == 0
    shown = capsys.readouterr().out
    assert f"  sriovctl live-update restore{words} [VM ...]  brings them back" in shown
    assert f"  sriovctl live-update forget{words} --discard-memory VM  gives up" in shown


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (["resume"], 0, "nothing to resume"),
        (["live-update", "run"], 2, "nothing is armed on this host"),
        (["live-update", "recover"], 0, ""),
    ],
)
def test_sriovctl_with_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], status: int, message: str
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("root=/dev/vda\n")
    assert cli.main(["--root", str(tmp_path), *command]) == status
    assert message in capsys.readouterr().err


def test_abandoning_a_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once is as twice; without an update there is nothing to abandon."""
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("b1\n")
    command = ["--root", str(tmp_path), "live-update"]
    assert cli.main([*command, "abandon"]) == 0
    folder = Folder(str(tmp_path / "var/lib/kvmfleet-sriov/live-update"))
    assert capsys.readouterr().out == "no live update\n"
    assert not Path(folder.path).exists()
    folder.make_vm("web1")
    Progress(folder, "m1", "b1", new_result("m1", "h1", "old")).finish(update_folder.FAILED, "failed")
    for _time in range(2):
        assert cli.main([*command, "abandon"]) == 0
        assert capsys.readouterr().out == "the host is abandoned; saved and not running: none\n"
    assert cli.main([*command, "status"]) == 0
    assert "abandoned: VMs may run elsewhere" in capsys.readouterr().out
    folder.forget()
    assert not (Path(folder.path) / update_folder.ABANDONED).exists()
