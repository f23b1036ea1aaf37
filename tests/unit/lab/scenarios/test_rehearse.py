# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rehearsal's scenario, without the host."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from lab.fleet import fleet
from lab.machine.host import Running
from lab.machine.ssh import Ssh
from lab.progress import LabError
from lab.scenarios import rehearse

GOOD = {"boots": {"new": {"seconds": 4.5, "memory_mib": 80}}, "disks": {"/dev/vdb": {}}}


def checked(monkeypatch: pytest.MonkeyPatch, known: object, left: str = "", release: str = "new") -> None:
    answers = {rehearse.KNOWN: json.dumps(known), rehearse.LEFT: left, "uname -r": f"{release}\n"}
    monkeypatch.setattr(Running, "ssh", property(lambda _self: Ssh(1, Path("key"))))
    monkeypatch.setattr(Ssh, "run", lambda _self, command: answers[command])
    rehearse.check(Running("faults", fleet.load("faults").hosts[0], Path("key")), "new")


def test_what_was_measured_is_there_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    checked(monkeypatch, GOOD)


@pytest.mark.parametrize(
    ("known", "left", "release"),
    [
        ({**GOOD, "boots": {}}, "", "new"),
        ({**GOOD, "disks": {}}, "", "new"),
        ({**GOOD, "boots": {"new": {"seconds": 400, "memory_mib": 80}}}, "", "new"),
        (GOOD, "/var/lib/kvmfleet-sriov/rehearsal", "new"),
        (GOOD, "", "old"),
    ],
)
def test_what_is_missing_or_left_is_found(
    monkeypatch: pytest.MonkeyPatch, known: object, left: str, release: str
) -> None:
    with pytest.raises(LabError, match="the rehearsal has"):
        checked(monkeypatch, known, left, release)


@pytest.mark.parametrize(
    ("status", "said", "good"),
    [
        (2, "mode boot is for a host without VMs, and VMs run here: web1 (process 7)", True),
        (0, "VMs run here: web1 (process 7)", False),
        (2, "no kernel", False),
    ],
)
def test_a_refusal_names_the_vm(monkeypatch: pytest.MonkeyPatch, status: int, said: str, good: bool) -> None:
    done: subprocess.CompletedProcess[str] = subprocess.CompletedProcess(["ansible-playbook"], status, said, "")
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_names: done)
    if good:
        rehearse.refused(Path("inventory"), {}, "web1")
    else:
        with pytest.raises(LabError, match="was not refused by its name"):
            rehearse.refused(Path("inventory"), {}, "web1")
