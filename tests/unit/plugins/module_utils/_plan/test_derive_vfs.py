# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What VFs keep when all of them are disabled for a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from tests.fake.linux.host import FakeHost

PF = "0000:03:00.0"
ODD: list[tuple[str, object]] = [
    ("vlan", 4095), ("qos", 9), ("mac", "01:00:5e:00:00:01"), ("mac", "zz"), ("mac", "hash"),
    ("mac", "02:00:00:00:00:00+id"), ("max_tx_rate", 2**32 - 1), ("min_tx_rate", -1),
]  # fmt: skip


@pytest.mark.parametrize("number", [2, 4])
@pytest.mark.parametrize(("name", "value"), ODD)
def test_a_reading_that_no_vf_can_be_given_is_not_set_again(
    tmp_path: Path, name: str, value: object, number: int
) -> None:
    host = FakeHost(tmp_path / "root")
    pf = host.igb(PF)
    host.setup(pf, 3)
    pf.properties[1].update({"trust": True, name: value})
    host.draw()
    document = validate({"pfs": [{"pf": PF, "hardware_vfs": number}]})
    found = converge(host.sysfs, host.run, document)
    assert not [words for words in host.run.calls if str(value) in words]
    assert pf.properties[1]["trust"] is True
    note = f"PF {PF}: {name} of VFs 1 is {value}, which no VF can be given; it is not set again"
    assert note in found.plan.notes
