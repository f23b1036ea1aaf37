# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of the faults."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lab.faults.trial_rows import TRIALS
from tests.faults import others, record
from tests.faults.fault import BOTH, Fault
from tests.faults.record import DEPLOY, LAB, LOCAL, TRIAL

ROW = Fault("a", "what", BOTH, "done", before={"run": others.ends("web1")})


@pytest.fixture(autouse=True)
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "FILE", tmp_path / "EVIDENCE.json")


def test_a_pass_is_valid_until_its_row_or_the_engine_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert record.stale(LOCAL, {"a": ROW}) == {"a": "no result"}
    record.before(LOCAL, ROW)("a", True)
    assert record.stale(LOCAL, {"a": ROW}) == {}
    other = replace(ROW, before={"run": others.ends("db1")})
    assert record.stale(LOCAL, {"a": other}) == {"a": "changed since: case"}
    assert record.stale(LOCAL, {"a": replace(ROW, phase="failed")}) == {"a": "changed since: case"}
    monkeypatch.setattr(record, "engine", lambda _level: "another")
    assert record.stale(LOCAL, {"a": ROW}) == {"a": "changed since: engine"}


def test_a_failure_forgets_the_pass_before() -> None:
    record.before(LOCAL, ROW)("a", True)
    record.before(LOCAL, ROW)("b", True)
    record.before(LOCAL, ROW)("a", False)
    assert list(record.load()[LOCAL]) == ["b"]
    record.drop_unknown(LOCAL, ["a"])
    assert record.load() == {LOCAL: {}}


def test_a_line_for_each_case() -> None:
    record.before(LOCAL, ROW)("a", True)
    lines = record.FILE.read_text().splitlines()
    assert len(lines) == 5
    assert json.loads(lines[2].partition(":")[2])["engine"] == record.engine()


def test_the_engine_counts_as_far_as_a_live_update_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And without comments and docstrings."""
    read: list[str] = []

    def text(path: Path) -> str:
        read.append(str(path))
        return ""

    monkeypatch.setattr(record, "_text", text)
    record.engine.__wrapped__()
    assert any(name.endswith("_vm/qemu/guest.py") for name in read)
    assert any(name.endswith("_live_update/way_out.py") for name in read)
    assert not any("_kernel_build" in name for name in read)
    read.clear()
    record.engine.__wrapped__(DEPLOY)
    assert any(name.endswith("_boot/grub_try.py") for name in read)
    assert not any(name.endswith("_live_update/way_out.py") for name in read)


def test_what_plays_a_deployment_counts_for_no_live_update(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def text(path: Path) -> str:
        read.append(path.name)
        return ""

    monkeypatch.setattr(record, "_text", text)
    record.harness.__wrapped__(LOCAL)
    assert "session.py" in read
    assert not {"deploy.py", "deploy_host.py", "power_cut.py"} & set(read)
    read.clear()
    record.harness.__wrapped__(DEPLOY)
    assert {"deploy.py", "deploy_host.py", "power_cut.py"} <= set(read)
    assert "session.py" not in read


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that results rest on, in a tree of their own."""
    for name in ("plugins/module_utils", "lab/faults", "roles/sriov/templates", "roles/kernel_deploy", "tests/faults"):
        shutil.copytree(record.REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(record, "REPOSITORY", tmp_path)
    return tmp_path


def edit(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_backends_that_no_case_uses_do_not_count(copy: Path) -> None:
    """Though the registry names them; those of QEMU do."""
    backends = copy / "plugins/module_utils/_vm"
    edit(
        backends / "registry.py", "\n\ndef other() -> object:\n    from .libvirt import backend\n\n    return backend\n"
    )
    engine = record.engine.__wrapped__(LAB)
    edit(backends / "libvirt/backend.py", "\nMORE = 1\n")
    assert record.engine.__wrapped__(LAB) == engine
    edit(backends / "qemu/backend.py", "\nMORE = 1\n")
    assert record.engine.__wrapped__(LAB) != engine


@pytest.mark.parametrize(
    ("file", "levels"),
    [
        ("lab/faults/trial.py", {TRIAL}),
        ("lab/faults/boot_modules.py", {TRIAL}),
        ("lab/faults/prepare.py", {LAB, TRIAL}),
        ("lab/faults/guests.py", {LAB, TRIAL}),
        ("lab/faults/case.py", {LAB}),
        ("lab/faults/watcher.py", {LAB}),
        ("lab/faults/run.py", set()),
        ("lab/faults/rows.py", set()),
        ("lab/faults/trial_rows.py", set()),
        ("lab/faults/logs.py", set()),
        ("roles/sriov/templates/kvmfleet-sriov-resume.service.j2", {LAB, TRIAL}),
        ("roles/kernel_deploy/templates/kvmfleet-sriov-boot-guard.service.j2", {TRIAL}),
    ],
)
def test_what_counts_on_emulated_hosts(copy: Path, file: str, levels: set[str]) -> None:
    before = {level: record.harness.__wrapped__(level) for level in (LAB, TRIAL)}
    edit(copy / file, "\nMORE = 1\n")
    assert {level for level in before if record.harness.__wrapped__(level) != before[level]} == levels


def test_the_guard_counts_for_trials_and_the_role_for_the_one_that_runs_it(copy: Path) -> None:
    rows, engine = [record.row(one) for one in TRIALS], record.engine.__wrapped__(TRIAL)
    edit(copy / "roles/kernel_deploy/tasks/trial.yml", "\n# more\n")
    assert [record.row(one) == old for one, old in zip(TRIALS, rows)] == [False, *[True] * (len(TRIALS) - 1)]
    edit(copy / "plugins/module_utils/_live_update/way_out.py", "\nMORE = 1\n")
    assert record.engine.__wrapped__(TRIAL) == engine
    edit(copy / "plugins/module_utils/_sriovctl/boot_guard_command.py", "\nMORE = 1\n")
    assert record.engine.__wrapped__(TRIAL) != engine
