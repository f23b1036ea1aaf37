# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of tests with a real libvirtd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.libvirt.armed import Armed, Make
from tests.libvirt.fixtures import host
from tests.libvirt.host import Host

__all__ = ["host", "make"]


@pytest.fixture
def make(host: Host) -> Iterator[Make]:
    """Makes armed domains, which end with the test."""
    made: list[Armed] = []

    def one(name: str, **words: object) -> Armed:
        made.append(Armed.made(host, name, **words))  # type: ignore[arg-type]  # handed on
        return made[-1]

    yield one
    for armed in made:
        armed.end()
