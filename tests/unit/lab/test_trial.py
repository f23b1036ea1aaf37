# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels that are tried on emulated hosts, without the hosts."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import guard
from lab.faults import boot_modules, case, guests, logs, prepare, run, trial
from lab.faults.libvirt_rows import LIBVIRT_ROWS
from lab.faults.rows import ROWS
from lab.faults.trial_rows import DEPLOYED, ENDED, LEFT, NEVER, TRIALS, Trial
from lab.fleet import fleet, inventory, operations, testbed
from lab.kernels import packages
from lab.machine.host import Running
from lab.machine.ssh import Ssh
from lab.progress import LabError
from lab.scenarios import demo
from tests.faults import record
from tests.faults.record import LAB, LIBVIRT, TRIAL

OLD, NEW = "6.12.1-old", "6.12.9-new"
HOST = Running("faults", fleet.load("faults").hosts[0], Path("key"))


class Played:
    """A host whose kernel is tried; ``reason``: what its guard says then."""

    def __init__(self, reason: str, waits: str = OLD, proven: str = "") -> None:
        self.reason, self.waits, self.proven = reason, waits, proven
        self.boots, self.commands = 0, list[str]()

    def run(self, command: str, timeout_s: float = 0) -> str:
        self.commands.append(command)
        if command == trial.REBOOT:
            self.boots += 1
        if "boot_id" in command:
            return f"b{self.boots}\n"
        if "proven" in command:
            return self.proven
        if command.startswith("if "):
            return "yes"
        tried = self.boots == 1 and "/proc/sysrq" not in " ".join(self.commands)
        return (NEW if tried else OLD) + "\n" if command == "uname -r" else ""

    def module(self, _fleet: str, name: str, arguments: dict[str, object]) -> dict[str, Any]:
        self.commands.append(f"{name} {arguments}")
        if name == "boot_entry":
            return {"next": {"release": self.waits}, "default": {"release": OLD}}
        over = self.boots != 1 or "uname -r" in self.commands
        return {"trial": {"phase": "failed" if over else "healthy", "reason": self.reason}}


def played(monkeypatch: pytest.MonkeyPatch, host: Played) -> None:
    monkeypatch.setattr(Running, "ssh", property(lambda _self: Ssh(1, Path("key"))))
    monkeypatch.setattr(Ssh, "run", lambda _self, command, timeout_s=0: host.run(command, timeout_s))
    monkeypatch.setattr(boot_modules, "module", host.module)


PANICS = next(row for row in TRIALS if row.name == "trial_panics")


def test_a_host_that_comes_back_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Played("it ended before it was confirmed: a panic, a reset or a reboot")
    played(monkeypatch, host)
    trial.fails(HOST, PANICS, OLD, NEW)
    assert f"boot_trial {{'state': 'armed', 'release': '{NEW}', 'panic_s': 5}}" in host.commands
    assert host.commands.index(trial.REBOOT) < host.commands.index(PANICS.amid)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (Played("it was not confirmed within 9 s"), "the host says 'it was not confirmed"),
        (Played(ENDED, waits=NEW), "waits"),
        (Played(ENDED, proven=f'{{"release": "{NEW}"}}'), "counts as proven"),
    ],
)
def test_what_is_not_as_it_should_be(monkeypatch: pytest.MonkeyPatch, host: Played, words: str) -> None:
    played(monkeypatch, host)
    with pytest.raises(LabError, match=words):
        trial.fails(HOST, PANICS, OLD, NEW)


def test_a_result_is_read_from_what_ansible_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    done: subprocess.CompletedProcess[str] = subprocess.CompletedProcess(
        [], 0, 'hv1 | CHANGED => {\n "trial": null\n}\n', ""
    )
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_names: done)
    assert boot_modules.trial("faults") == {"trial": None}
    done.returncode = 2
    with pytest.raises(LabError, match=r"boot_trial .* ended with status 2"):
        boot_modules.trial("faults")


def test_reasons_are_those_of_the_guard() -> None:
    says = {row.name: row.says for row in TRIALS}
    assert says["trial_without_guard"] == NEVER
    assert NEVER in guard.NEVER
    assert ENDED in guard.ENDED


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
    assert boot_modules.module("faults", "boot_entry", arguments) == {"changed": False}
    assert seen[0][seen[0].index("kvmfleet.sriov.boot_entry") + 1 :] == given


def test_rows_are_those_that_fail_and_the_one_that_stays() -> None:
    assert [row.name for row in TRIALS if not row.says] == [DEPLOYED]
    assert TRIALS[0].name == DEPLOYED
    assert len({row.name for row in TRIALS}) == len(TRIALS) == 6
    assert all(row.name.startswith("trial_") for row in TRIALS)
    for folder in TRIALS[0].files:
        assert list((record.REPOSITORY / folder).glob("*.yml")), folder


def test_evidence_is_looked_for_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the kernel ran, where its guard cannot say so."""
    host, row = Played(NEVER), TRIALS[-1]
    played(monkeypatch, host)
    answers = {"uname -r": OLD, f"if {row.evidence.replace('NEW', NEW)}; then echo yes; fi": ""}
    monkeypatch.setattr(Ssh, "run", lambda _self, text, timeout_s=0: answers.get(text, host.run(text, timeout_s)))
    failed = {"trial": {"phase": "failed", "reason": NEVER}, "next": {"release": OLD}, "default": {"release": OLD}}
    monkeypatch.setattr(boot_modules, "module", lambda *_words: failed)
    with pytest.raises(LabError, match="its evidence is not there: grep -qx NEW"):
        trial.fails(HOST, row, OLD, NEW)


class Left:
    """A host as a row, or an update, has left it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, release: str, phase: str, plain: bool, vms: int) -> None:
        self.release, self.phase, self.plain, self.vms = release, phase, plain, vms
        self.acts: list[str] = []
        seen = guests.Seen("", "", "", (), {}, {}, {}, {})
        for owner, name, value in (
            (Running, "ssh", property(lambda _self: Ssh(1, Path("key")))), (Ssh, "wait", lambda *_words: 0.0),
            (Ssh, "run", lambda _ssh, text, **_more: self.run(text)), (boot_modules, "module", self.module),
            (prepare, "_reset", lambda _host: self.reset()), (guests, "look", lambda *_words: seen),
        ):  # fmt: skip
            monkeypatch.setattr(owner, name, value)

    def run(self, text: str) -> str:
        self.acts += [
            word for word in ("forget", "unset extra_arguments", "systemctl stop kvmfleet-vm") if word in text
        ]
        if text == LEFT:
            self.acts.append("left")
        if text.startswith("if "):
            return "yes" if self.plain and (self.release == OLD or "uname" not in text) else ""
        return f"vmlinuz-{OLD} vmlinuz-{NEW}" if "vmlinuz" in text else ""

    def reset(self) -> None:
        self.acts.append("reset")
        self.release, self.plain, self.vms = OLD, True, 0

    def module(self, _fleet: str, name: str, arguments: dict[str, object]) -> dict[str, Any]:
        self.acts.append(" ".join([name, *map(str, arguments.values())]).strip())
        runs, found = self.release == NEW, {"phase": self.phase} if self.phase else None
        return {"trial": found, "runs": runs, "vms": ["web1"] * self.vms}


SET = f"boot_entry {OLD}"


@pytest.mark.parametrize(
    ("left", "acts"),
    [
        ((OLD, "", True, 0), []),
        ((OLD, "failed", True, 0), []),
        ((NEW, "confirmed", True, 0), []),  # the row before has deployed it
        ((OLD, "", True, 2), ["unset extra_arguments", "forget", "systemctl stop kvmfleet-vm"]),
        ((NEW, "", True, 2), ["unset extra_arguments", "reset", "forget", "systemctl stop kvmfleet-vm"]),
        ((NEW, "healthy", True, 0), ["unset extra_arguments", "reset", "forget", "systemctl stop kvmfleet-vm"]),
        ((OLD, "failed", False, 0), ["unset extra_arguments", "reset", "forget", "systemctl stop kvmfleet-vm"]),
        ((NEW, "confirmed", False, 2), ["unset extra_arguments", "reset", "forget", "systemctl stop kvmfleet-vm"]),
    ],
)
def test_a_trial_begins_on_a_host_that_has_nothing_left(
    monkeypatch: pytest.MonkeyPatch, left: tuple[str, str, bool, int], acts: list[str]
) -> None:
    """Of trials, of updates and of their words; no boot without need."""
    host = Left(monkeypatch, *left)
    trial.prepared(HOST, OLD)
    assert host.acts[:3] == ["left", SET, "boot_trial"]
    stopped = [act for number, act in enumerate(host.acts[3:]) if act != (host.acts[3:][number - 1] if number else "")]
    assert stopped == ([*acts, "boot_trial withdrawn"] if acts else [])
    assert trial.other_kernel(HOST, NEW) == OLD


def test_any_trial_is_run_after_the_one_that_installs_the_guard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(record, "FILE", tmp_path / "EVIDENCE.json")
    assert run.wanted((), fresh=False) == [*ROWS, *TRIALS, *LIBVIRT_ROWS]
    for row in TRIALS[:2]:
        record.before(TRIAL, row)(row.name, True)
    assert run.wanted(("trial",), fresh=False) == [TRIALS[0], *TRIALS[2:]]
    assert [row.name for row in run.wanted(("trial_panics", "lab_disk_full"), fresh=False)] == [
        "lab_disk_full",
        DEPLOYED,
        "trial_panics",
    ]
    assert run.wanted(("trial",), fresh=True) == list(TRIALS)


class Walk:
    """A run whose rows are played; ``fails``: their names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, fails: tuple[str, ...] = ()) -> None:
        self.acts: list[str] = []
        self.fails = fails
        kernel = packages.Kernel("series", folder, NEW)
        for owner, name, value in (
            (record, "FILE", folder / "EVIDENCE.json"), (operations, "build", lambda: None),
            (operations, "up", lambda name: [replace(HOST, fleet=name)]),
            (operations, "down", lambda _name: self.acts.append("down")),
            (packages, "built", lambda _name: kernel), (prepare, "succeeds", lambda *_words: False),
            (demo, "playbooks", lambda _path, _extra, *names: self.acts.append(" ".join(names))),
            (prepare, "boot_words", lambda *_words: None), (inventory, "path", lambda _name: folder),
            (case, "run", lambda _host, row, _release: self.row(row.name)),
            (trial, "run", lambda _host, row, _kernel: self.row(row.name)),
            (trial, "other_kernel", lambda *_words: OLD), (prepare, "idle", lambda *_words: None),
            (testbed, "keep_bytecode", lambda _ssh: None), (Running, "ssh", None),
            (testbed, "run", lambda name, _fleet: not self.row(name)),
        ):  # fmt: skip
            monkeypatch.setattr(owner, name, value)

    def row(self, name: str) -> str:
        self.acts.append(name)
        if name in self.fails:
            return "it does not pass"
        if "interrupted" in self.fails and name == TRIALS[3].name:
            raise KeyboardInterrupt
        return ""


def test_one_run_has_both_kinds_and_one_that_fails_stops_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walk = Walk(monkeypatch, tmp_path, ("lab_disk_full", "trial_unhealthy", "libvirt"))
    assert run.faults() == 3
    assert walk.acts == [
        *("sriov kernel_deploy", *(row.name for row in (*ROWS, *TRIALS)), "down"),
        *("sriov kernel_deploy", *(row.name for row in LIBVIRT_ROWS), "down"),
    ]
    shown = capsys.readouterr().out
    assert "[20/23] trial_unhealthy: it does not pass" in shown
    assert re.search(r"\[6/6\] libvirt: see .*/molecule/libvirt.log", shown)
    every = {LAB: ROWS, TRIAL: TRIALS, LIBVIRT: LIBVIRT_ROWS}
    assert {level: len(record.load()[level]) for level in every} == {
        level: len(rows) - 1 for level, rows in every.items()
    }
    walk.acts.clear()
    assert run.faults(("trial",)) == 1
    assert walk.acts == ["sriov", DEPLOYED, "trial_unhealthy", "down"]


def test_a_run_that_is_interrupted_has_recorded_what_has_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    walk = Walk(monkeypatch, tmp_path, ("interrupted",))
    with pytest.raises(KeyboardInterrupt):
        run.faults(("trial",))
    assert walk.acts[-1] == "down"
    assert list(record.load()[TRIAL]) == sorted(row.name for row in TRIALS[:3])
    assert run.wanted(("trial",), fresh=False) == [TRIALS[0], *TRIALS[3:]]


def test_the_host_is_judged_and_its_words_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host = Left(monkeypatch, OLD, "failed", True, 0)
    monkeypatch.setattr(logs, "FOLDER", tmp_path)
    kernel = packages.Kernel("series", tmp_path, NEW)
    monkeypatch.setattr(demo, "playbooks", lambda *_words: None)
    assert trial.run(HOST, TRIALS[0], kernel) == "LabError: the playbook ended on another kernel"
    assert (tmp_path / DEPLOYED / "status.log").exists()
    monkeypatch.setattr(boot_modules, "module", lambda *_words: {})
    assert trial.run(HOST, Trial("trial_x", "what", "says"), kernel) == "KeyError: 'trial'"
    assert host.acts
