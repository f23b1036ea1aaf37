# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration capabilities of domains, turned off before a save."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import capabilities
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.connection import Connection

UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"


class Qemu:
    """``stays``: cannot be turned off."""

    def __init__(self, *on: str, stays: str = "") -> None:
        self.on, self.stays = set(on), stays
        self.asked: list[str] = []

    def __call__(self, argv: Sequence[str]) -> str:
        command = json.loads(argv[-1])
        self.asked.append(command["execute"])
        if command["execute"] == "migrate-set-capabilities":
            rows = command["arguments"]["capabilities"]
            self.on -= {row["capability"] for row in rows if not row["state"]} - {self.stays}
            return json.dumps({"return": {}, "id": "libvirt-1"})
        rows = [{"capability": name, "state": name in self.on} for name in ("events", "multifd", "xbzrle")]
        return json.dumps({"return": rows})


def test_libvirts_own_stay_on() -> None:
    qemu = Qemu("events", "multifd")
    capabilities.turn_off(Connection(qemu), UUID)
    assert qemu.on == {"events"}
    qemu.asked.clear()
    capabilities.turn_off(Connection(qemu), UUID)
    assert qemu.asked == ["query-migrate-capabilities"]


def test_one_that_stays_on_is_an_error() -> None:
    with pytest.raises(SriovError, match="migration capability multifd stays on"):
        capabilities.turn_off(Connection(Qemu("multifd", stays="multifd")), UUID)


@pytest.mark.parametrize("answer", ["", "[", "[1]", '{"error": {"desc": "no"}}', '{"return": 1}', '{"return": [1]}'])
def test_an_odd_answer_is_an_error(answer: str) -> None:
    with pytest.raises(SriovError, match=f"domain {UUID}"):
        capabilities.turn_off(Connection(lambda _argv: answer), UUID)
