# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dry starts in a preflight and when armed, on a played host."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import dry_starts, vm_choices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import status as _live_status
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, DeadlineError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.candidates import candidates
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.dry_start import DryStart
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import dry_run, qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.vm_facts import VmFacts
from tests.fake.vm.node import FakeNode
from tests.fake.vm.script import Script
from tests.fake.vm.update import arm, request

DRY_LINE = ["-name", "guest=kvmfleet-dry-start", "-display", "none"]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    made = FakeNode(tmp_path)
    monkeypatch.setattr(qmp, "_peer_pid", made.pid_of)
    made.vm("web1", made.igb())
    return made


def findings(node: FakeNode, **changes: object) -> tuple[list[str], list[str]]:
    """(refusals, warnings) about dry starts."""
    verdict = _live_arm.examine(node.live, request(**changes))[1]
    refusals, warnings = (
        [str(item) for item in items if item.code.startswith("dry-start")]
        for items in (verdict.refusals, verdict.warnings)
    )
    return refusals, warnings


def started(node: FakeNode) -> list[list[str]]:
    """Command lines of dry starts."""
    return [words[words.index(dry_run.CHILD) + 2 :] for words in node.calls if dry_run.CHILD in words]


def test_every_vm_is_tried(node: FakeNode) -> None:
    node.vm("web2")
    assert findings(node) == ([], [])
    lines = started(node)
    assert [line[1:5] for line in lines] == [DRY_LINE, DRY_LINE]
    assert [line[-3:] for line in lines] == [["-S", "-incoming", "defer"]] * 2
    assert not [word for line in lines for word in line if "vfio" in word or "-qmp" in word or "web" in word]
    assert node.commands.count(("web1", "stop")) == 0


ANSWERS: list[tuple[dict[str, Any], str]] = [
    ({"status": None, "code": 1, "said": "qemu: Could not open\n 'x'\n"},
     "a QEMU of its restore ends with status 1: qemu: Could not open 'x'"),
    ({"status": None, "code": 1, "said": ""}, "ends with status 1: it said nothing"),
    ({"status": None, "code": None, "said": "hm"}, "was not ready within 45 s: hm"),
    ({"status": None, "code": 1, "said": "\x1b[31m{{ x }}\u202e"}, "ends with status 1: ?[31m{{ x }}?"),
    ({"status": None, "code": 1, "said": "y" * 9000}, "ends with status 1: " + "y" * 2000 + ":"),
    ({"status": "running"}, "is running, not inmigrate"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "text"), ANSWERS)
def test_a_dry_start_that_fails_refuses_the_host(node: FakeNode, answer: dict[str, Any], text: str) -> None:
    node.dry_start = lambda argv: answer
    (refusal,), warnings = findings(node)
    assert refusal.startswith(f"VM web1 (process {node.qemus[0].pid}): a QEMU of its restore ")
    assert text in refusal
    assert refusal.endswith("or say dry_start: false for this VM in live_update_vms if its restore does work")
    assert warnings == []


def test_a_restore_that_lacks_how_memory_would_be_saved(node: FakeNode) -> None:
    """Another QEMU was installed since that VM began."""
    node.dry_start = lambda argv: {"status": "inmigrate", "has": ["xbzrle", "multifd"]}
    (refusal,), _warnings = findings(node)
    assert "a QEMU of its restore lacks mapped-ram, with which its memory would be saved" in refusal
    assert refusal.endswith("install the QEMU again that runs it")
    node.scripts["web1"].lacks = ("mapped-ram",)
    assert findings(node) == ([], [])
    node.dry_start = lambda argv: {"status": "inmigrate", "has": ["mapped-ram"]}
    node.scripts["web1"].lacks = ()
    assert findings(node) == ([], [])


UNCERTAIN: list[tuple[dict[str, Any], str]] = [
    ({"apart": "[Errno 1] Operation not permitted"}, "it cannot be started apart from this host: [Errno 1]"),
    ({"status": None, "code": 1, "said": "qemu: cannot set up guest memory 'pc.ram': Cannot allocate memory"},
     "there is no memory for it beside the running VM"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "text"), UNCERTAIN)
def test_what_says_nothing_about_the_restore_is_a_warning(node: FakeNode, answer: dict[str, Any], text: str) -> None:
    node.dry_start = lambda argv: answer
    refusals, (warning,) = findings(node)
    assert refusals == []
    assert f"VM web1 (process {node.qemus[0].pid}): its restore was not tried, or not all of it: {text}" in warning


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, "null", "junk"])
def test_an_answer_that_cannot_be_read(node: FakeNode, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "dumps", lambda value, real=json.dumps: text if value == {"raw": 1} else real(value))
    node.dry_start = lambda argv: {"raw": 1}
    refusals, (warning,) = findings(node)
    assert refusals == []
    assert "the dry start itself failed: " in warning


def test_the_child_that_fails_is_a_warning(node: FakeNode) -> None:
    def late(argv: list[str]) -> dict[str, object]:
        raise DeadlineError("it did not end within 60 s")

    node.dry_start = late
    assert "the dry start itself failed: it did not end within 60 s" in findings(node)[1][0]


def test_what_is_not_listed_is_said_by_name(node: FakeNode) -> None:
    node.start(["qemu-system-x86_64", "-name", "guest=odd", "-M", "q35", "-m", "64", "-icount", "1",
                 "-qmp", "unix:/run/kvmfleet-vm/odd.qmp,server=on,wait=off"], "odd.service")  # fmt: skip
    refusals, (warning,) = findings(node)
    assert refusals == []
    assert "-icount is not on the list of what may be started beside a running VM" in warning
    assert len(started(node)) == 1


def test_one_can_be_left_out(node: FakeNode) -> None:
    node.dry_start = lambda argv: {"status": None, "code": 1, "said": "no"}
    refusals, (warning,) = findings(node, vms=vm_choices.by_name([{"name": "web1", "dry_start": False}]))
    assert refusals == []
    assert "not all of it: dry_start is false for it in live_update_vms" in warning
    assert started(node) == []
    with pytest.raises(BadInputError, match="vms, VM web1, dry_start: 'no' is not true or false"):
        findings(node, vms={"web1": {"name": "web1", "dry_start": "no"}})


def test_a_vm_that_is_refused_anyway_is_not_started(node: FakeNode) -> None:
    """Its command line may be anything."""
    node.scripts["odd"] = Script(blocked=["it is odd"])
    node.vm("odd")
    assert findings(node) == ([], [])
    assert len(started(node)) == 1


def test_arming_tries_again(node: FakeNode) -> None:
    findings(node)
    node.dry_start = lambda argv: {"status": None, "code": 1, "said": "gone since"}
    facts, verdict = _live_arm.examine(node.live, request())
    assert [item.code for item in verdict.refusals] == ["dry-start"]
    assert facts.dry_starts[facts.vms[0].pid].problem != ""
    assert len(started(node)) == 2


def test_nothing_is_started_amid_an_update(node: FakeNode) -> None:
    """VMs are about to end then, or are just started."""
    arm(node)
    before = len(started(node))
    findings(node)
    assert len(started(node)) == before + 1
    _live_status.write_status(node.live.folder, "m", "saving", "b", 1.0)
    findings(node)
    assert len(started(node)) == before + 1


class Slow:
    """A backend whose dry starts take a moment."""

    def __init__(self) -> None:
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    def problems(self, _vm: VmFacts) -> tuple[()]:
        return ()

    def dry_start(self, vm: VmFacts) -> DryStart:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
        return DryStart(f"problem of {vm.name}")


def test_a_few_at_a_time(node: FakeNode) -> None:
    slow = Slow()
    vms = [VmFacts(f"vm{number}", "slow", number, 1, "u", None) for number in range(20)]
    facts = replace(_live_arm.examine(node.live, request())[0], vms=tuple(vms))
    found = dry_starts.run(facts, {"slow": slow}, {})  # type: ignore[dict-item]  # of a backend only what is used
    assert {pid: one.problem for pid, one in found.items()} == {n: f"problem of vm{n}" for n in range(20)}
    assert slow.most == dry_starts.AT_ONCE


def test_a_dry_start_of_another_preflight_is_no_vm(node: FakeNode) -> None:
    """It has /dev/kvm open, and is gone soon."""
    dry = node.process("qemu-system-x86_64", *DRY_LINE, holds=["/dev/kvm"])
    somebody = node.process("qemu-system-x86_64", *DRY_LINE, uid=1000, holds=["/dev/kvm"])
    assert [one.pid for one in candidates(node.host.sysfs) if one.pid in (dry, somebody)] == [somebody]
    verdict = _live_arm.examine(node.live, request())[1]
    assert [item.code for item in verdict.refusals] == ["stranger"]
    assert node.qemu.pid("kvmfleet-dry-start") is None


def test_the_environment_stays_out_of_the_command_line(node: FakeNode) -> None:
    """Everybody may read that of any process, a VM's variables only root."""
    node.systemd.granted[node.qemus[0].unit].environment.append("SECRET=hunter2")
    pid = node.qemus[0].pid
    (node.host.root / f"proc/{pid}/environ").write_text("SECRET=hunter2\0")
    findings(node)
    assert started(node)
    assert not [word for words in node.calls if dry_run.CHILD in words for word in words if "hunter2" in word]
    assert os.path.exists(node.host.root / f"proc/{pid}/environ")
