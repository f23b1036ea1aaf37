# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario of kernels that are tried, without the host."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import guard
from lab.fleet import fleet
from lab.machine.host import Running
from lab.machine.ssh import Ssh
from lab.progress import LabError
from lab.scenarios import trials

OLD, NEW = "6.12.1-old", "6.12.9-new"
HOST = Running("faults", fleet.load("faults").hosts[0], Path("key"))


class Played:
    """A host whose kernel is tried; ``reason``: what its guard says then."""

    def __init__(self, reason: str, waits: str = OLD, proven: str = "") -> None:
        self.reason, self.waits, self.proven = reason, waits, proven
        self.boots, self.commands = 0, list[str]()

    def run(self, command: str, timeout_s: float = 0) -> str:
        self.commands.append(command)
        if command == trials.REBOOT:
            self.boots += 1
        if "boot_id" in command:
            return f"b{self.boots}\n"
        if "proven" in command:
            return self.proven
        tried = self.boots == 1 and "/proc/sysrq" not in " ".join(self.commands)
        return (NEW if tried else OLD) + "\n" if command == "uname -r" else ""

    def module(self, _path: Path, name: str, arguments: dict[str, object]) -> dict[str, Any]:
        self.commands.append(f"{name} {arguments}")
        if name == "boot_entry":
            return {"next": {"release": self.waits}, "default": {"release": OLD}}
        over = self.boots != 1 or "uname -r" in self.commands
        return {"trial": {"phase": "failed" if over else "healthy", "reason": self.reason}}


def played(monkeypatch: pytest.MonkeyPatch, host: Played) -> None:
    monkeypatch.setattr(Running, "ssh", property(lambda _self: Ssh(1, Path("key"))))
    monkeypatch.setattr(Ssh, "run", lambda _self, command, timeout_s=0: host.run(command, timeout_s))
    monkeypatch.setattr(trials, "module", host.module)


PANICS = next(row for row in trials.ROWS if row.name == "it panics")


def test_a_host_that_comes_back_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Played("it ended before it was confirmed: a panic, a reset or a reboot")
    played(monkeypatch, host)
    trials.fails(HOST, Path("inventory"), PANICS, OLD, NEW)
    assert f"boot_trial {{'state': 'armed', 'release': '{NEW}', 'panic_s': 5}}" in host.commands
    assert host.commands.index(trials.REBOOT) < host.commands.index(PANICS.amid)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (Played("it was not confirmed within 9 s"), "the host says 'it was not confirmed"),
        (Played(trials.ENDED, waits=NEW), "waits"),
        (Played(trials.ENDED, proven=f'{{"release": "{NEW}"}}'), "counts as proven"),
    ],
)
def test_what_is_not_as_it_should_be(monkeypatch: pytest.MonkeyPatch, host: Played, words: str) -> None:
    played(monkeypatch, host)
    with pytest.raises(LabError, match=words):
        trials.fails(HOST, Path("inventory"), PANICS, OLD, NEW)


def test_a_result_is_read_from_what_ansible_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    done: subprocess.CompletedProcess[str] = subprocess.CompletedProcess(
        [], 0, 'hv1 | CHANGED => {\n "trial": null\n}\n', ""
    )
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_names: done)
    assert trials.trial(Path("inventory")) == {"trial": None}
    done.returncode = 2
    with pytest.raises(LabError, match=r"boot_trial .* ended with status 2"):
        trials.trial(Path("inventory"))


def test_reasons_are_those_of_the_guard() -> None:
    says = {row.name: row.says for row in trials.ROWS}
    assert says["its guard does not start"] in guard.NEVER
    assert trials.ENDED in guard.ENDED


@pytest.mark.parametrize(("arguments", "given"), [({}, []), ({"once": ""}, ["-a", '{"once": ""}'])])
def test_ansible_gets_arguments_only_where_there_are_some(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, object], given: list[str]
) -> None:
    """It takes an empty object for free text."""
    seen: list[list[str]] = []

    def run(argv: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        seen.append(argv)
        return subprocess.CompletedProcess(argv, 0, 'hv1 | SUCCESS => {"changed": false}', "")

    monkeypatch.setattr(subprocess, "run", run)
    assert trials.module(Path("inventory.yml"), "boot_entry", arguments) == {"changed": False}
    assert seen[0][seen[0].index("kvmfleet.sriov.boot_entry") + 1 :] == given
