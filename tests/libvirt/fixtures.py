# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixture of a real libvirtd, one for each session of tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .host import Host, able

NEEDS_LIBVIRT = (pytest.mark.heavy,)
"""Marks of tests that use it, which the fixture may skip."""


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """A host with libvirtd; its processes end with the session."""
    if not able():
        pytest.skip("only root can make the namespaces of a real libvirtd, with unshare")
    with tempfile.TemporaryDirectory(prefix="kl") as folder:
        one = Host(Path(folder))
        try:
            one.start()
            yield one
        finally:
            one.end()
