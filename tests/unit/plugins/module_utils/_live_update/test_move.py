# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that leave their host before its update."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import move, resume, save, vm_choices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    RefusedError,
    SriovError,
    ToolError,
)
from tests.fake.linux.pf import FakePf
from tests.fake.vm.granted import Granted
from tests.fake.vm.node import DEADLINES, FakeNode, Rebooted
from tests.fake.vm.update import OPTIONS, Killed, arm, live, request, result

CHOICES = vm_choices.by_name([{"name": "web1", "strategy": "migrate", "to": "hv9"}])
HOOK = replace(OPTIONS, move_away=("/usr/local/bin/evacuate", "--live"))
WORDS = ["/usr/local/bin/evacuate", "--live", "web1", "hv9"]


@pytest.fixture
def two(node: FakeNode, pf: FakePf) -> FakeNode:
    """VMs web1, which is to leave, and web2, each with a VF."""
    node.vm("web2", pf, 0)
    object.__setattr__(node.qemu, "deadlines", replace(DEADLINES, start_s=20.0, answer_s=20.0, migrate_s=20.0))
    return node


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(move, "MOVED_S", 0.2)


def asked(choices: dict[str, dict[str, object]] = CHOICES) -> _arm.Request:
    return request(options=HOOK, vms=choices)


def moved(
    node: FakeNode, act: Callable[[list[str]], None], choices: dict[str, dict[str, object]] = CHOICES
) -> list[str]:
    node.on_move = act
    facts, verdict = _arm.examine(node.live, asked(choices))
    assert [str(item) for item in verdict.refusals] == []
    return _arm.move_away(node.live, asked(choices), facts)


def leaves(node: FakeNode) -> Callable[[list[str]], None]:
    """The hook's VM ends here, as it has begun elsewhere."""
    return lambda words: live(node, words[2]).end()


def fails(_words: list[str]) -> None:
    raise ToolError(WORDS, 1, "no host has room")


def refusals(node: FakeNode, **changes: object) -> list[str]:
    _facts, verdict = _arm.examine(node.live, request(**changes))
    return [str(item) for item in verdict.refusals]


def test_it_leaves_without_its_vfs_and_the_update_goes_on_without_it(two: FakeNode) -> None:
    seen: list[tuple[list[str], int]] = []

    def act(words: list[str]) -> None:
        seen.append((words, len(live(two).devices)))
        live(two).end()

    assert moved(two, act) == ["web1"]
    assert seen == [(WORDS, 0)]
    assert not os.path.exists(two.live.folder.leaving.path)
    manifest = arm(two, vms=CHOICES, options=HOOK)
    assert [vm.name for vm in manifest.vms] == ["web2"]
    with pytest.raises(Rebooted):
        save.run(two.live)
    assert resume.resume(two.live) == "done"
    assert two.live_vm("web1") is None
    assert [vm["name"] for vm in result(two)["vms"]] == ["web2"]


def test_one_that_stays_has_its_vfs_again(two: FakeNode) -> None:
    before = live(two)
    with pytest.raises(SriovError, match=r"VM web1: .*no host has room.*; it stays here, with its VFs"):
        moved(two, fails)
    assert live(two) is before
    assert (before.status, len(before.devices)) == ("running", 1)
    assert move.unfinished(two.live) == ()
    assert [one for one in two.commands if one[0] == "web2" and one[1].startswith("device_")] == []


def test_a_hook_that_lies_is_found(two: FakeNode) -> None:
    with pytest.raises(SriovError, match=r"has ended without an error, and 0.2 s later process \d+ runs here still"):
        moved(two, lambda words: None)
    assert len(live(two).devices) == 1


@pytest.mark.parametrize(
    ("deadline_s", "why"), [(0.05, r"did not end within 0\.05 s \(move_away_s\)"), (60.0, "ended with status 124")]
)
def test_a_hook_that_is_too_late_is_ended(two: FakeNode, deadline_s: float, why: str) -> None:
    """One that ends so by itself is not late."""

    def late(words: list[str]) -> None:
        time.sleep(0.1)
        raise ToolError(["timeout", *words], 124, "")

    wanted = request(options=replace(HOOK, move_away_s=deadline_s), vms=CHOICES)
    two.on_move = late
    facts, _verdict = _arm.examine(two.live, wanted)
    with pytest.raises(SriovError, match=rf"{why}.*; it stays here"):
        _arm.move_away(two.live, wanted, facts)


def test_another_of_its_name_is_no_sign_that_it_has_left(two: FakeNode, pf: FakePf) -> None:
    def swaps(words: list[str]) -> None:
        live(two).end()
        two.vm("web1", pf, 3)

    with pytest.raises(SriovError, match=r"it has left, and process \d+ of its name was started here"):
        moved(two, swaps)
    assert live(two).status == "running"


def test_one_that_is_gone_after_a_failure_is_not_started(two: FakeNode) -> None:
    def odd(words: list[str]) -> None:
        live(two).end()
        fails(words)

    with pytest.raises(SriovError, match="its process is gone: look where it runs before anybody starts it"):
        moved(two, odd)
    assert two.live_vm("web1") is None


def test_a_guest_that_keeps_its_vfs_stays(two: FakeNode) -> None:
    object.__setattr__(two.qemu, "deadlines", replace(DEADLINES, answer_s=20.0))
    two.scripts["web1"].unplug = "never"
    called: list[list[str]] = []
    with pytest.raises(SriovError, match="VM web1: gave up waiting"):
        moved(two, called.append)
    assert called == []
    assert live(two).status == "running"


def test_one_that_ends_by_itself_is_no_failure(two: FakeNode) -> None:
    facts, _verdict = _arm.examine(two.live, asked())
    live(two).end()
    assert _arm.move_away(two.live, asked(), facts) == []
    assert move.unfinished(two.live) == ()


def test_the_second_fails_when_the_first_has_left(two: FakeNode) -> None:
    both = vm_choices.by_name([{"name": name, "strategy": "migrate"} for name in ("web1", "web2")])

    def act(words: list[str]) -> None:
        if words[-1] == "web2":
            fails(words)
        live(two, words[-1]).end()

    with pytest.raises(SriovError, match=r"VM web2: .*; it stays here, with its VFs; moved before it: web1"):
        moved(two, act, both)
    assert len(live(two, "web2").devices) == 1


def test_whoever_moves_is_killed(two: FakeNode) -> None:
    """Nothing is armed until a person has given the VFs back."""

    def dies(words: list[str]) -> None:
        raise Killed

    with pytest.raises(Killed):
        moved(two, dies)
    assert live(two).devices == {}
    assert move.unfinished(two.live) == ("web1",)
    for state in (refusals(two), refusals(two, vms=CHOICES, options=HOOK)):
        assert [one for one in state if "was being moved to another host" in one and "live-update stay" in one]
    assert move.stay(two.live) == ["web1"]
    assert len(live(two).devices) == 1
    assert refusals(two) == []
    assert move.stay(two.live) == []


def test_one_that_left_while_whoever_moved_it_was_killed(two: FakeNode) -> None:
    def dies(words: list[str]) -> None:
        live(two).end()
        raise Killed

    with pytest.raises(Killed):
        moved(two, dies)
    assert move.stay(two.live) == []
    assert two.live_vm("web1") is None


def test_a_power_cut_restores_nothing_of_it(two: FakeNode) -> None:
    def cut(words: list[str]) -> None:
        raise Killed

    with pytest.raises(Killed):
        moved(two, cut)
    two.kexec("BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet")
    with pytest.raises(BadInputError, match="an ordinary boot, nothing is restored"):
        resume.resume(two.live)
    assert two.live_vm("web1") is None
    assert move.unfinished(two.live) == ()
    assert move.stay(two.live) == []


def test_one_that_still_runs_is_not_armed(two: FakeNode) -> None:
    """It is none of those that an update would save."""
    facts, _verdict = _arm.examine(two.live, asked())
    assert ([vm.name for vm in facts.vms], [vm.name for vm in facts.leaving]) == (["web2"], ["web1"])


def test_a_damaged_note_is_told_by_its_folders(two: FakeNode) -> None:
    def dies(words: list[str]) -> None:
        raise Killed

    with pytest.raises(Killed):
        moved(two, dies)
    with open(os.path.join(two.live.folder.leaving.path, "manifest.json"), "w", encoding="utf-8") as file:
        file.write("{")
    assert move.unfinished(two.live) == ("web1",)
    with pytest.raises(SriovError, match=r"leaving/manifest\.json"):
        move.stay(two.live)


def test_nobody_has_said_how(two: FakeNode) -> None:
    choices = vm_choices.by_name([{"name": "web1", "strategy": "migrate", "to": "hv9"}])
    (found,) = refusals(two, vms=choices)
    assert "web1" in found
    assert "nothing says how it is moved" in found
    assert "set move_away in live_update_options" in found


def test_a_wrong_name_is_a_warning(two: FakeNode) -> None:
    choices = vm_choices.by_name([{"name": "web9", "strategy": "migrate"}])
    _facts, verdict = _arm.examine(two.live, request(vms=choices, options=HOOK))
    assert [one for one in verdict.warnings if "VM web9, whose strategy is migrate, does not run here" in one.problem]


@pytest.mark.parametrize("name", ["enabled", "other", "restart"])
def test_what_would_start_it_here_again_is_refused(two: FakeNode, name: str) -> None:
    unit = "kvmfleet-vm-web1.service" if name == "enabled" else "other.service"
    if name == "restart":
        two.systemd.granted["kvmfleet-vm-web1.service"] = Granted(["--property=Restart=always"])
    else:
        two.put(f"/etc/systemd/system/{unit}", "[Service]\nExecStart=/usr/bin/qemu-system-x86_64 -name guest=web1\n")
        two.put(f"/etc/systemd/system/multi-user.target.wants/{unit}", "")
    found = refusals(two, vms=CHOICES, options=HOOK)
    assert len(found) == 1
    assert {"enabled": "a boot starts it here too", "other": "a boot starts it twice", "restart": "Restart=always"}[
        name
    ] in found[0]


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"to": "hv9"}, "it is for strategy: migrate"),
        ({"strategy": "shutdown", "to": "hv9"}, "it is for strategy: migrate"),
        ({"strategy": "migrate", "to": "-hv9"}, "is no name or address of a host"),
        ({"strategy": "migrate", "to": "hv9/x?no_verify=1"}, "is no name or address of a host"),
        ({"strategy": "migrate", "to": ""}, "is no name or address of a host"),
        ({"strategy": "migrate", "to": 9}, "is no name or address of a host"),
    ],
)
def test_wrong_hosts(item: dict[str, object], why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        vm_choices.by_name([{"name": "web1", **item}])


@pytest.mark.parametrize("to", ["hv9", "192.0.2.7", "[2001:db8::7]", "hv9.example.com"])
def test_hosts(to: str) -> None:
    assert vm_choices.by_name([{"name": "web1", "strategy": "migrate", "to": to}])["web1"]["to"] == to


def test_nothing_moves_from_a_host_under_way(two: FakeNode) -> None:
    facts, _verdict = _arm.examine(two.live, asked())
    arm(two)
    with pytest.raises(Rebooted):
        save.run(two.live)
    with pytest.raises(RefusedError, match="a live update is in phase"):
        _arm.move_away(two.live, asked(), facts)
