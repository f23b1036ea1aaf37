# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose VMs others may start starts none by itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import (
    ha_hold,
    resume,
    save,
    vm_choices,
    way_out,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options, parse
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import ABANDONED
from tests.fake.vm.node import OLD, FakeNode, Rebooted
from tests.fake.vm.update import OPTIONS, arm, claim, live, phase, result

HELD = replace(OPTIONS, hold_s=4000.0, restore_within=1e6)
HOOK = ("/usr/bin/ha-check",)


@pytest.fixture
def disked(node: FakeNode) -> FakeNode:
    """A node with VMs web1 and web2, of one disk each."""
    pf = node.igb()
    node.images = {"web1": ("/vm/web1.img",), "web2": ("/vm/web2.img",)}
    node.vm("web1", pf, 6)
    node.vm("web2", pf, 2)
    node.put("/proc/uptime", "30.00 99.00\n")
    return node


def later(node: FakeNode, seconds: float) -> None:
    object.__setattr__(node.live, "now", lambda: time.time() + seconds)


def saved(node: FakeNode, options: Options = HELD, **annotations: object) -> None:
    """Save both VMs and jump."""
    vms = vm_choices.by_name([{"name": "web1", **annotations}])
    arm(node, options=options, vms=vms)
    with pytest.raises(Rebooted):
        save.run(node.live)


def reason(node: FakeNode, name: str = "web1") -> str:
    return str(next(vm["error"] for vm in result(node)["vms"] if vm["name"] == name))


@pytest.mark.parametrize(
    ("seconds", "uptime", "why"),
    [
        (0.0, "30.00 9.9", None),
        (3000.0, "30.00 9.9", None),
        (3300.0, "30.00 9.9", "a start may take 780 s"),
        (4100.0, "30.00 9.9", "hold of 4000 s has expired"),
        (1e9, "30.00 9.9", "hold of 4000 s has expired"),
        (-4000.0, "30.00 9.9", "clock was set back"),
        (0.0, "3300.00 9.9", "a start may take 780 s"),
        (0.0, "5000.00 9.9", "hold of 4000 s has expired"),
        (0.0, "x", "cannot be read"),
        (0.0, "", "cannot be read"),
        (0.0, "nan 1", "cannot be read"),
    ],
)
def test_a_hold_that_has_expired_by_either_clock(
    disked: FakeNode, seconds: float, uptime: str, why: str | None
) -> None:
    """The wall clock, or the time since the boot."""
    saved(disked)
    disked.put("/proc/uptime", uptime)
    later(disked, seconds)
    assert resume.resume(disked.live) == ("failed" if why else "done")
    assert claim(disked).state == ("saved" if why else "acknowledged")
    assert (disked.live_vm("web1") is None) == bool(why)
    assert why is None or why in reason(disked)
    if why:
        assert "restore web1 --confirm-not-elsewhere" in reason(disked)
        assert way_out.restore(disked.live, ["web1"]) == "failed"
        assert disked.live_vm("web1") is None
        way_out.restore(disked.live, ["web1"], confirmed=True)
        assert live(disked).status == "running"
        assert disked.live_vm("web2") is None


@pytest.mark.parametrize(
    ("seconds", "uptime", "why"),
    [
        (0.0, "130.00 9.9", "clock was set back"),
        (20.0, "130.00 9.9", "clock was set back"),
        (29.0, "130.00 9.9", None),
        (60.0, "130.00 9.9", None),
        (3300.0, "130.00 9.9", "a start may take"),
        (3990.0, "4200.00 9.9", "clock was set back"),
        (0.0, "20.00 9.9", "cannot be read"),
        (0.0, "x", "cannot be read"),
    ],
)
def test_a_clock_that_is_set_between_arming_and_saving(
    disked: FakeNode, seconds: float, uptime: str, why: str | None
) -> None:
    """The time since the boot, 100 s when armed, shows it."""
    disked.put("/proc/uptime", "100.00 9.9")
    arm(disked, options=HELD)
    disked.put("/proc/uptime", uptime)
    later(disked, seconds)
    if why is None:
        with pytest.raises(Rebooted):
            save.run(disked.live)
        return
    assert save.run(disked.live) == "aborted"
    assert why in result(disked)["error"]
    assert live(disked).status == "running"


def test_without_a_hold_nothing_expires(disked: FakeNode) -> None:
    saved(disked, replace(HELD, hold_s=0.0))
    disked.put("/proc/uptime", "x")
    later(disked, 1e5)
    assert resume.resume(disked.live) == "done"


def test_an_abandoned_host_starts_nothing(disked: FakeNode) -> None:
    """With or without a hold; once more is as once."""
    saved(disked, replace(HELD, hold_s=0.0))
    assert [ha_hold.abandon(disked.live), ha_hold.abandon(disked.live)] == [True, True]
    assert resume.resume(disked.live) == "failed"
    assert [disked.live_vm(name) for name in ("web1", "web2")] == [None, None]
    assert "the host was abandoned" in reason(disked)
    assert way_out.restore(disked.live, ["web1", "web2"], confirmed=True) == "done"
    way_out.forget(disked.live, ())
    assert not ha_hold.is_abandoned(disked.live)
    assert not ha_hold.abandon(disked.live)
    assert not os.path.exists(os.path.join(disked.live.folder.path, ABANDONED))


@pytest.mark.parametrize("agrees", [True, False])
def test_the_hook_decides_about_an_abandoned_host(disked: FakeNode, agrees: bool) -> None:
    run, asked = disked.live.run, []

    def hooked(argv: list[str]) -> str:
        if argv[0] != HOOK[0]:
            return run(argv)
        asked.append(argv[1])
        if not agrees:
            raise ToolError(argv, 1, "it runs on h2")
        return ""

    object.__setattr__(disked.live, "run", hooked)
    saved(disked, replace(HELD, confirm_not_elsewhere=HOOK))
    ha_hold.abandon(disked.live)
    assert resume.resume(disked.live) == ("done" if agrees else "failed")
    assert sorted(asked) == (["web1", "web1", "web2", "web2"] if agrees else ["web1", "web2"])
    assert claim(disked).state == ("acknowledged" if agrees else "saved")


def abandoned(node: FakeNode) -> None:
    ha_hold.abandon(node.live)


def expired(node: FakeNode) -> None:
    later(node, 4100.0)


@pytest.mark.parametrize("ends", [abandoned, expired])
def test_a_hold_that_ends_while_memory_is_loaded(disked: FakeNode, ends: Callable[[FakeNode], None]) -> None:
    """The last look is before the guest's first instruction."""
    saved(disked)
    ready, both = type(disked.qemu).ready, threading.Barrier(2)

    def meanwhile(backend: object, vm: object) -> None:
        ready(backend, vm)  # type: ignore[arg-type]  # of the fake backend
        both.wait(20.0)
        ends(disked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(disked.qemu), "ready", meanwhile)
        assert resume.resume(disked.live) == "failed"
    assert claim(disked).state == "failed"
    assert [disked.live_vm(name) for name in ("web1", "web2")] == [None, None]
    assert way_out.restore(disked.live, ["web1", "web2"], confirmed=True) == "done"


@pytest.mark.parametrize("ends", [abandoned, expired])
def test_no_start_from_a_disk_either(disked: FakeNode, ends: Callable[[FakeNode], None]) -> None:
    saved(disked, on_other_kernel="cold-start", cold_start=True)
    disked.kexec("BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet")
    disked.put("/proc/sys/kernel/osrelease", OLD + "\n")
    ends(disked)
    way_out.come_back(disked.live)
    assert disked.live_vm("web1") is None
    assert "could have been started elsewhere" in reason(disked)


@pytest.mark.parametrize("ends", [abandoned, expired])
def test_before_anything_of_a_vm_is_touched(disked: FakeNode, ends: Callable[[FakeNode], None]) -> None:
    """The run ends, and guests run on."""
    arm(disked, options=HELD)
    ends(disked)
    assert save.run(disked.live) == "aborted"
    assert [live(disked, name).status for name in ("web1", "web2")] == ["running", "running"]
    assert "stop" not in live(disked).commands
    assert "Arm it again" in str(result(disked)["error"])


@pytest.mark.parametrize("ends", [abandoned, expired])
def test_before_the_jump(disked: FakeNode, ends: Callable[[FakeNode], None]) -> None:
    """VMs that have released their disks wait for a word."""
    arm(disked, options=HELD)
    discard = type(disked.qemu).discard

    def meanwhile(backend: object, vm: object) -> None:
        discard(backend, vm)  # type: ignore[arg-type]  # of the fake backend
        ends(disked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(disked.qemu), "discard", meanwhile)
        assert save.run(disked.live) == "failed"
    assert phase(disked) == "failed"
    assert [disked.live_vm(name) for name in ("web1", "web2")] == [None, None]
    assert way_out.restore(disked.live, ["web1", "web2"], confirmed=True) == "aborted"
    assert [live(disked, name).status for name in ("web1", "web2")] == ["running", "running"]


def test_a_saved_vm_that_stands_still_is_not_continued(disked: FakeNode) -> None:
    arm(disked, options=HELD)
    saves = type(disked.qemu).save

    def meanwhile(backend: object, vm: object, state: str) -> object:
        done = saves(backend, vm, state)  # type: ignore[arg-type]  # of the fake backend
        abandoned(disked)
        if vm.name == "web2":  # type: ignore[attr-defined]  # of the fake backend
            raise OSError("no space")
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(disked.qemu), "save", meanwhile)
        assert save.run(disked.live) == "failed"
    assert live(disked).status != "running"
    assert "the host was abandoned" in reason(disked)


def test_values_of_a_hold() -> None:
    """None at all, or longer than nothing; its own default, too."""
    assert parse({"hold_s": 60}).hold_s == 60
    assert parse(Options().to_dict()) == Options()
    with pytest.raises(BadInputError, match="hold_s: -1 is not a number above 0"):
        parse({"hold_s": -1})
