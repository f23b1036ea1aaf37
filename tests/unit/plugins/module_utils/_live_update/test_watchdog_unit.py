# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A watchdog of the new kernel that nobody can stop."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, watchdog_unit
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.watchdog import Dog
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.update_paths import BUS, WATCHDOG_UNIT
from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import cli
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import live
from tests.fake.vm.watchdog import FakeWatchdog
from tests.unit.plugins.module_utils._live_update.test_watchdog_guard import awaited, jump


@pytest.fixture
def dog(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> FakeWatchdog:
    return FakeWatchdog(node, monkeypatch)


class Over(BaseException):
    """The end of a test."""


def unit(node: FakeNode) -> list[str]:
    (call,) = [call for call in node.calls if f"--unit={WATCHDOG_UNIT}" in call]
    return call


@pytest.mark.parametrize("state", ["inactive", "active"])
def test_it_is_fed_before_anything_else(node: FakeNode, dog: FakeWatchdog, state: str) -> None:
    """There is no D-Bus yet, and a guest runs soon."""
    jump(node, dog)
    dog.set(nowayout=1, state=state)
    first = list[bytes]()
    node.on_run = lambda argv: first.append(dog.fed) if argv[0] == "systemd-run" else None
    assert resume.resume(node.live) == "done"
    assert first[0][:1] == b"\0"
    assert b"V" not in dog.fed
    call = unit(node)
    assert call[call.index("--") :] == ["--", "/usr/local/sbin/sriovctl", "live-update", "feed", "watchdog0", "120"]
    assert "--property=DefaultDependencies=no" in call  # or it would wait for what the resume holds up
    assert not [argv for argv in node.calls if argv[0] == "busctl"]


def test_it_is_fed_while_the_unit_does_not_come_up(
    node: FakeNode, dog: FakeWatchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the resume itself."""
    jump(node, dog)
    dog.set(nowayout=1)
    monkeypatch.setattr(watchdog_unit, "PER_TIMEOUT", 3000)
    feeds = count(monkeypatch)

    def refused(argv: list[str]) -> None:
        if f"--unit={WATCHDOG_UNIT}" in argv:
            raise ToolError(argv, 1, "no")

    node.on_run = refused
    assert resume.resume(node.live) == "done"
    assert live(node).status == "running"
    assert "is not fed by the resume: 'systemd-run" in " ".join(node.log)
    before = len(feeds)
    assert awaited(lambda: len(feeds) > before + 1)
    assert b"V" not in dog.fed


class Feeding:
    """A unit that feeds, for so many pauses."""

    def __init__(self, node: FakeNode, steps: int) -> None:
        self.node, self.left, self.pauses = node, steps, list[float]()
        object.__setattr__(node.live, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.left -= 1
        if self.left < 0:
            raise Over

    def asked(self) -> list[list[str]]:
        return [call[-3:] for call in self.node.calls if call[0] == "busctl"]


def test_before_there_is_a_bus_it_only_feeds(
    node: FakeNode, dog: FakeWatchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = count(monkeypatch)
    feeding = Feeding(node, 40)
    with pytest.raises(Over):
        watchdog_unit.feed(node.live, "watchdog0", 120)
    assert feeding.asked() == []
    assert set(feeding.pauses) == {30.0}  # a quarter of its timeout
    assert len(feeds) == 41


def count(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Feedings from now on."""
    feeds, original = list[str](), Dog.feed

    def feed(one: Dog) -> None:
        feeds.append(one.path)
        original(one)

    monkeypatch.setattr(Dog, "feed", feed)
    return feeds


def test_once_there_is_a_bus_systemd_has_it(node: FakeNode, dog: FakeWatchdog) -> None:
    node.put(BUS, "")
    node.on_run = lambda argv: dog.hold() if argv[0] == "busctl" else None
    feeding = Feeding(node, 40)
    watchdog_unit.feed(node.live, "watchdog0", 120)
    assert feeding.asked() == [["RuntimeWatchdogUSec", "t", "120000000"]]
    assert "watchdog watchdog0 is fed by others" in node.log
    assert sum(feeding.pauses) < 60


def test_what_systemd_does_not_take_is_fed_for_good(
    node: FakeNode, dog: FakeWatchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It feeds the first watchdog alone, this may be another."""
    node.put(BUS, "")
    feeds = count(monkeypatch)
    feeding = Feeding(node, 40)
    with pytest.raises(Over):
        watchdog_unit.feed(node.live, "watchdog0", 120)
    assert len(feeding.asked()) == 1
    assert len(feeds) > 40


def test_a_bus_that_does_not_answer_yet_is_asked_again(node: FakeNode, dog: FakeWatchdog) -> None:
    node.put(BUS, "")
    tries = iter([None, None])

    def answer(argv: list[str]) -> None:
        if argv[0] == "busctl":
            if next(tries, "over") != "over":
                raise ToolError(argv, 1, "Connection refused")
            dog.hold()

    node.on_run = answer
    feeding = Feeding(node, 40)
    watchdog_unit.feed(node.live, "watchdog0", 120)
    assert len(feeding.asked()) == 3
    assert sum(feeding.pauses) < 60


def test_one_of_others_is_theirs(node: FakeNode, dog: FakeWatchdog) -> None:
    dog.hold()
    Feeding(node, 40)
    watchdog_unit.feed(node.live, "watchdog0", 120)
    assert dog.fed == b""


def test_one_that_is_not_there_is_an_error(node: FakeNode, dog: FakeWatchdog) -> None:
    Feeding(node, 40)
    with pytest.raises(KernelError, match="ENOENT"):
        watchdog_unit.feed(node.live, "watchdog7", 120)


@pytest.mark.parametrize("words", [["../sda", "120"], ["watchdog0", "0"], ["watchdog0", "70000"]])
def test_what_is_no_watchdog_is_refused(node: FakeNode, words: list[str]) -> None:
    assert cli.main(["--root", str(node.host.root), "live-update", "feed", *words]) == 2
