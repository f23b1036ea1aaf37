# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One act on a live update at a time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import act_lock
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BusyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.update_paths import LIVE_UPDATE_LOCK
from tests.fake.vm.node import FakeNode

PROGRAM = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write("77 sriovctl live-update run")
file.flush()
print(flush=True)
sys.stdin.read()
"""


def test_a_second_act_is_told_who_is_first(node: FakeNode) -> None:
    with act_lock.held(node.live.sysfs):
        pass
    path = node.live.sysfs.real(LIVE_UPDATE_LOCK)
    other = subprocess.Popen([sys.executable, "-c", PROGRAM, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    with pytest.raises(BusyError, match=r"process 77 .'sriovctl live-update run'. acts on this host's live update"):
        act_lock.held(node.live.sysfs, 0.1).__enter__()
    other.kill()
    other.communicate()
    with act_lock.held(node.live.sysfs, 0.1):
        pass


def test_the_lock_is_private_and_free_after_a_failure(node: FakeNode) -> None:
    with pytest.raises(ValueError, match="x"), act_lock.held(node.live.sysfs):
        raise ValueError("x")
    with act_lock.held(node.live.sysfs, 0.1):
        mode = (node.host.root / LIVE_UPDATE_LOCK.lstrip("/")).stat().st_mode
    assert mode & 0o777 == 0o600


def test_a_link_in_its_place_is_not_followed(node: FakeNode) -> None:
    path = node.host.root / LIVE_UPDATE_LOCK.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(node.host.root / "precious")
    with pytest.raises(Exception, match=r"live-update.lock"):
        act_lock.held(node.live.sysfs).__enter__()
    assert not (node.host.root / "precious").exists()
