# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images are compared once more, the moment before a guest runs.

A restore that was interrupted has left a QEMU, with or without its memory; meanwhile somebody else may have used the
images.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.guest import Guest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.state_form import StateForm
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import Killed, claim, jump, live, result

DISK = "/vm/web1.img"


@pytest.fixture
def disked(node: FakeNode) -> FakeNode:
    """A node with VM web1 of one disk, and web2 without."""
    pf: FakePf = node.igb()
    node.images = {"web1": (DISK,)}
    node.vm("web1", pf, 6)
    node.vm("web2", pf, 2)
    return node


def write(node: FakeNode) -> None:
    with Path(node.host.sysfs.real(DISK)).open("a") as file:
        file.write("of another VM")


@contextlib.contextmanager
def dies(owner: object, name: str, when: str) -> Iterator[None]:
    """The resume dies before or after a function that is about web1.

    Of claims that are stored, only the one that is running.
    """
    real: Callable[..., object] = getattr(owner, name)

    def function(*arguments: Any) -> object:  # noqa: ANN401 - those of a guest's load, or of a claim's store
        subject = arguments[-1] if owner is _claim else arguments[0]
        mine = subject.vm == "web1" and subject.state == "running" if owner is _claim else subject.vm.name == "web1"
        if mine and when == "before":
            raise Killed
        found = real(*arguments)
        if mine:
            raise Killed
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, function)
        yield


CASES: dict[str, tuple[object, str, str, str]] = {
    "before the load": (Guest, "load", "before", "inmigrate"),
    "after the load": (Guest, "load", "after", "paused"),
    "before the claim is running": (_claim, "store", "before", "paused"),
}


@pytest.mark.parametrize("case", CASES)
def test_an_interrupted_restore_over_another_disk(disked: FakeNode, case: str) -> None:
    owner, name, when, status = CASES[case]
    jump(disked)
    with dies(owner, name, when), pytest.raises(Killed):
        resume.resume(disked.live)
    waiting = live(disked)
    assert (waiting.status, claim(disked).state) == (status, "claimed")
    write(disked)
    assert resume.resume(disked.live) == "failed"
    assert "cont" not in waiting.commands
    assert disked.live_vm("web1") is None
    assert claim(disked).state == "failed"
    assert f"its memory is not loaded, as its disks are not those that it was saved with (image {DISK}" in error(disked)
    way_out.restore(disked.live, ["web1"], confirmed=True)
    assert disked.live_vm("web1") is None
    assert live(disked, "web2").status == "running"


def error(node: FakeNode) -> str:
    return str({vm["name"]: vm["error"] for vm in result(node)["vms"]}["web1"])


@pytest.mark.parametrize("case", CASES)
def test_an_interrupted_restore_goes_on_over_its_disk(disked: FakeNode, case: str) -> None:
    owner, name, when, _status = CASES[case]
    jump(disked)
    with dies(owner, name, when), pytest.raises(Killed):
        resume.resume(disked.live)
    assert resume.resume(disked.live) == "done"
    assert live(disked).status == "running"


def test_a_disk_that_is_written_to_while_the_state_is_loaded(disked: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    jump(disked)
    load = Guest.load

    def meanwhile(guest: Guest, state: str, form: StateForm) -> None:
        load(guest, state, form)
        if guest.vm.name == "web1":
            write(disked)

    monkeypatch.setattr(Guest, "load", meanwhile)
    assert resume.resume(disked.live) == "failed"
    assert disked.live_vm("web1") is None
    assert claim(disked).state == "failed"


def test_a_guest_that_may_have_run_is_left_to_a_person(disked: FakeNode) -> None:
    """Its claim is running, it stands still, and its disk is another."""
    jump(disked)
    with dies(_claim, "store", "after"), pytest.raises(Killed):
        resume.resume(disked.live)
    waiting = live(disked)
    assert (waiting.status, claim(disked).state) == ("paused", "running")
    write(disked)
    assert resume.resume(disked.live) == "failed"
    assert live(disked) is waiting
    assert waiting.status == "paused"
    assert "`cont` at its monitor continues it" in error(disked)
    waiting.status = "running"
    assert resume.resume(disked.live) is None


def test_a_guest_that_runs_is_not_compared(disked: FakeNode) -> None:
    """It has written to its disk itself."""
    jump(disked)
    original = disked.qemu.set_clock

    def killed(_vm: object) -> str:
        raise Killed

    object.__setattr__(disked.qemu, "set_clock", killed)
    with pytest.raises(Killed):
        resume.resume(disked.live)
    object.__setattr__(disked.qemu, "set_clock", original)
    assert live(disked).status == "running"
    write(disked)
    assert resume.resume(disked.live) == "done"
