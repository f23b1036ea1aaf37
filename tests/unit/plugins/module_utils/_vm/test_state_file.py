# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed state files of VMs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    KernelError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import state_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.state_file import Fingerprint


@pytest.mark.parametrize(("data", "message"), [(b"abd", "sha256"), (b"ab", "2 bytes, 3 were saved"), (b"", "0 bytes")])
def test_state_that_changed_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"abc")
    sealed = state_file.seal(str(path))
    assert sealed == Fingerprint(3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    state_file.verify(str(path), sealed)
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=message):
        state_file.verify(str(path), sealed)


def test_empty_and_missing_states(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(BadInputError, match="the saved guest is empty"):
        state_file.seal(str(tmp_path / "state"))
    with pytest.raises(KernelError, match="ENOENT"):
        state_file.seal(str(tmp_path / "none"))
