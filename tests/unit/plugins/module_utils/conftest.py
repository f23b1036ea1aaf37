# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake node, and a PF on it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import execute
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp
from tests.fake.linux.pf import FakePf
from tests.fake.scenarios.transitions import Scene, Transition
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import PROPERTIES

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Fake trees are a few hundred files each."""


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNode]:
    """A fake node in a short path.

    A unix socket's path has at most 107 characters.
    """
    folder = Path(tempfile.mkdtemp(prefix="kf"))
    found = FakeNode(folder)
    monkeypatch.setattr(qmp, "_peer_pid", found.pid_of)
    yield found
    for qemu in found.qemus:
        qemu.end()
    shutil.rmtree(folder)


@pytest.fixture
def pf(node: FakeNode) -> FakePf:
    """Seven VFs; VM web1 owns VF 6, the highest one."""
    pf = node.igb()
    node.vm("web1", pf, 6, **PROPERTIES)
    return pf


@pytest.fixture
def scene(transition: Transition, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A scene in its previous state, with its run rehearsed.

    Interfaces that do not appear are not awaited.
    """
    monkeypatch.setattr(execute, "NETDEV_S", 0.0)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        found = Scene(Path(folder), transition)
        found.rehearse()
        yield found
