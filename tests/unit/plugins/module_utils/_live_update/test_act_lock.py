# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One act on a live update at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import act_lock
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BusyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.update_paths import LIVE_UPDATE_LOCK
from tests.fake.vm.node import FakeNode

PROGRAM = """
import sys, time
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import act_lock
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
sys.argv[0] = "sriovctl live-update run"
with act_lock.held(Sysfs(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""


@contextmanager
def other(node: FakeNode) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(node.host.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def begin(node: FakeNode, check_mode: bool) -> None:
    if check_mode:
        act_lock.wait_until_free(node.live.sysfs, 0.1)
    else:
        act_lock.held(node.live.sysfs, 0.1).__enter__()


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_second_act_names_the_first(node: FakeNode, check_mode: bool) -> None:
    with other(node) as process:
        words = rf"process {process.pid} \(state .*\), 'sriovctl live-update run .*', acts on this host's live update"
        with pytest.raises(BusyError, match=words):
            begin(node, check_mode)
    act_lock.wait_until_free(node.live.sysfs, 0.1)
    with act_lock.held(node.live.sysfs, 0.1):
        pass


def test_a_lock_that_nobody_could_sign(node: FakeNode) -> None:
    with other(node):
        (node.host.root / LIVE_UPDATE_LOCK.lstrip("/")).write_text("")
        with pytest.raises(BusyError, match="another process acts on this host's live update"):
            act_lock.held(node.live.sysfs, 0.1).__enter__()


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
