# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What blocks a save, in QEMU's words, without what is unplugged before."""

from __future__ import annotations

import json

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import blocked
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.connection import Connection

UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"
VF = "0000:04:10.2"


def _reasons(answer: object, *addresses: str) -> tuple[str, ...]:
    return blocked.reasons(Connection(lambda _argv: json.dumps({"return": answer})), UUID, addresses)


def test_a_qemu_that_would_be_saved_has_no_reason() -> None:
    assert _reasons({}) == ()
    assert _reasons({"status": "completed", "blocked-reasons": []}) == ()


def test_vfs_are_no_reason_as_they_are_unplugged() -> None:
    """In words of several versions, as read, not tried."""
    found = [
        "VFIO device doesn't support migration", f"{VF}: VFIO migration is not supported in kernel",
        "Migration is currently not supported with vIOMMU enabled", "Migration is disabled when using 'x'",
    ]  # fmt: skip
    assert _reasons({"blocked-reasons": found}, VF) == ("Migration is disabled when using 'x'",)
    assert _reasons({"blocked-reasons": found}) == tuple(found)


@pytest.mark.parametrize("answer", [None, 5, [], {"blocked-reasons": "x"}, {"blocked-reasons": [5]}])
def test_an_odd_answer_is_an_error(answer: object) -> None:
    with pytest.raises(SriovError, match="does not say what blocks a save"):
        _reasons(answer)
