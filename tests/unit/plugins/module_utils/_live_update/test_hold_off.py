# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Others who reboot a host or install packages meanwhile.

Real: the locks, which another process takes as dpkg and apt do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import (
    act_lock,
    copy,
    hold_off,
    save,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.hold_off import Others
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import package_lock
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import Killed, arm, killed, result

pytestmark = pytest.mark.usefixtures("pf")
ASKED, HELD = "run/reboot-required", "run/kvmfleet-sriov/reboot-required"
OTHER = """import fcntl, sys
file = open(sys.argv[1], "r+")
try:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    print("locked", flush=True)
else:
    print("taken", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock(node: FakeNode) -> Path:
    """dpkg's lock, and a request for a reboot."""
    path = Path(node.live.sysfs.real(package_lock.LOCKS[0]))
    path.parent.mkdir(parents=True)
    path.touch()
    asked = Path(node.live.sysfs.real(f"/{ASKED}"))
    asked.parent.mkdir(parents=True, exist_ok=True)
    asked.write_text("*** System restart required ***\n")
    return path


@contextmanager
def other(lock: Path) -> Iterator[str]:
    """Another process takes the lock; what it says."""
    argv = [sys.executable, "-c", OTHER, str(lock)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


def there(node: FakeNode, name: str) -> bool:
    return Path(node.live.sysfs.real(f"/{name}")).exists()


def seen_while_saving(node: FakeNode, monkeypatch: pytest.MonkeyPatch, look: Callable[[], object]) -> list[object]:
    found: list[object] = []
    copy_all: Callable[..., object] = copy.copy_all

    def copies(*arguments: object) -> object:
        found.append(look())
        return copy_all(*arguments)

    monkeypatch.setattr(copy, "copy_all", copies)
    return found


def test_nobody_installs_or_asks_for_a_reboot_until_the_jump(
    node: FakeNode, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm(node)

    def look() -> tuple[str, bool]:
        with other(lock) as said:
            return said, there(node, ASKED)

    found = seen_while_saving(node, monkeypatch, look)
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert found == [("locked", False)]


def test_an_update_that_is_not_done_lets_them_go_on(node: FakeNode, lock: Path) -> None:
    arm(node)
    node.scripts["web1"].unplug = "never"
    assert save.run(node.live) == "aborted"
    assert (there(node, ASKED), there(node, HELD)) == (True, False)
    with other(lock) as said:
        assert said == "taken"


def test_a_request_that_a_killed_run_has_set_aside_is_put_back_by_the_next_act(node: FakeNode, lock: Path) -> None:
    arm(node)
    with killed(node, "save", "web1"), pytest.raises(Killed):
        save.run(node.live)
    assert (there(node, ASKED), there(node, HELD)) == (False, True)
    with act_lock.held(node.live.sysfs):
        assert (there(node, ASKED), there(node, HELD)) == (True, False)


def test_packages_that_are_being_installed_are_awaited(
    node: FakeNode, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hold_off, "PACKAGES_S", 0.5)
    arm(node)
    with other(lock) as said:
        assert said == "taken"
        found = hold_off.read(node.live.sysfs)
        assert [one.split(" is locked by process ")[0] for one in found.installing] == [package_lock.LOCKS[0]]
        assert [one.code for one in hold_off.warnings(found)] == ["installing"]
        assert save.run(node.live) == "aborted"
    error = result(node)["error"]
    assert "packages are still being installed after 0.5 s (/var/lib/dpkg/lock-frontend is locked by process " in error
    assert node.live_vm("web1") is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("USEC=1795996800000000\nWARN_WALL=1\nMODE=reboot\n", "a reboot at 2026-11-30T00:00:00Z is scheduled"),
        ("MODE=$(x)\nUSEC=9999999999999999999999\n", "a shutdown is scheduled"),
        ("", "a shutdown is scheduled"),
    ],
)
def test_a_scheduled_shutdown_is_refused(node: FakeNode, text: str, words: str) -> None:
    """Also one that was scheduled after arming."""
    arm(node)
    path = Path(node.live.sysfs.real("/run/systemd/shutdown/scheduled"))
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert words in str(next(iter(hold_off.check(hold_off.read(node.live.sysfs)))))
    assert save.run(node.live) == "aborted"
    assert words in result(node)["error"]


def test_a_host_without_a_package_manager(node: FakeNode) -> None:
    assert hold_off.read(node.live.sysfs) == Others()
    arm(node)
    with pytest.raises(Rebooted):
        save.run(node.live)
