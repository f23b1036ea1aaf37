# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MSI-X in configuration space."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.pci_config import msix_vectors
from tests.fake.linux.pci import config


@pytest.mark.parametrize("vectors", [1, 3, 64, 2048])
def test_behind_another_capability(vectors: int) -> None:
    assert msix_vectors(config(vectors)) == vectors


def changed(at: int, value: int) -> bytes:
    space = bytearray(config(3))
    space[at] = value
    return bytes(space)


# configuration space without MSI-X, as far as it can be read
WITHOUT = [
    b"",
    config(3)[:64],  # all that a user without rights can read
    changed(0x06, 0x00),  # no list of capabilities
    changed(0x34, 0x00),  # an empty one
    changed(0x70, 0x05),  # MSI
    changed(0xA1, 0xA0),  # one that goes in circles
    changed(0xA1, 0x20),  # one that leads into the header
    b"\xff" * 256,  # a device that does not answer
]


@pytest.mark.parametrize("space", WITHOUT)
def test_without(space: bytes) -> None:
    assert msix_vectors(space) is None
