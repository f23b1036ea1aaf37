# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests' agents are asked through libvirt."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import guest_agent
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.connection import LONGEST, Connection

ANSWER = '{"return": [{"hardware-address": "02:00:00:00:00:01", "ip-addresses": [{"ip-address": "192.0.2.1"}]}]}'


def _fails(argv: Sequence[str]) -> str:
    raise ToolError(argv, 1, "error: argument unsupported: QEMU guest agent is not configured")


def test_networks() -> None:
    (found,) = guest_agent.networks(Connection(lambda _argv: ANSWER), "u")
    assert (found.mac, found.has_address) == ("02:00:00:00:00:01", True)
    assert guest_agent.networks(Connection(lambda _argv: "[]"), "u") == []


@pytest.mark.parametrize("answer", ["", "[" * 100_000, "x" * (LONGEST + 1), '{"return": Infinity}'])
def test_an_odd_answer_is_an_error(answer: str) -> None:
    with pytest.raises(BadInputError, match="agent of domain u"):
        guest_agent.networks(Connection(lambda _argv: answer), "u")


def test_a_clock_that_cannot_be_set_says_why() -> None:
    assert guest_agent.set_clock(Connection(lambda _argv: ""), "u") == "set"
    assert guest_agent.set_clock(Connection(_fails), "u").endswith("QEMU guest agent is not configured")
