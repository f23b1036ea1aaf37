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

from ansible_collections.kvmfleet.sriov.plugins.module_utils import _qmp
from tests.fake.node import FakeNode
from tests.fake.pf import FakePf
from tests.fake.update import PROPERTIES


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNode]:
    """Short paths: a unix socket's has at most 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="kf"))
    found = FakeNode(folder)
    monkeypatch.setattr(_qmp, "_peer_pid", found.pid_of)
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
