# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of virsh as values."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import virsh
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools.virsh import Info

UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"
DOMINFO = f"""Id:             1
Name:           web: State: 1
UUID:           {UUID}
OS Type:        hvm
State:          running
CPU(s):         1
Persistent:     yes
Autostart:      enable
Autostart Once: disable
Managed save:   no
Security model: none
"""


def test_dominfo() -> None:
    assert virsh.info(DOMINFO) == Info(UUID, "running", True, True, False)
    assert virsh.info(DOMINFO.replace("Once: disable", "Once: enable")).autostart_once
    assert not virsh.info(DOMINFO.replace("Autostart Once: disable\n", "")).autostart_once


@pytest.mark.parametrize("state", virsh.STATES)
def test_a_domain_has_a_qemu_in_all_states_but_two(state: str) -> None:
    found = virsh.info(DOMINFO.replace("running", state))
    assert (found.state, found.active) == (state, state not in ("shut off", "crashed"))


ODD = {
    "": "UUID '' and state ''", DOMINFO.replace("running", "läuft"): "state 'läuft'",
    DOMINFO.replace("Persistent:     yes", "Persistent:     ja"): "Persistent: 'ja', expected yes or no",
    DOMINFO.replace("Managed save:   no\n", ""): "Managed save: ''", DOMINFO.replace(UUID, "x"): "UUID 'x'",
    DOMINFO + " " * virsh.LONGEST: "more than 1048576",
}  # fmt: skip


@pytest.mark.parametrize(("answer", "why"), ODD.items(), ids=range(len(ODD)))
def test_an_odd_answer_is_an_error(answer: str, why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        virsh.info(answer)


def test_list() -> None:
    assert virsh.uuids(f"{UUID}\n\n") == (UUID,)
    assert virsh.uuids("\n") == ()
    with pytest.raises(BadInputError, match="'-r', which is no UUID"):
        virsh.uuids("-r\n")
    with pytest.raises(BadInputError, match="10001 domains, more than 10000"):
        virsh.uuids(f"{UUID}\n" * 10_001)


def test_a_domain_is_named_by_its_uuid() -> None:
    assert virsh.argv("start", UUID, "--paused") == (
        "virsh", "-q", "-c", "qemu:///system", "start", "--domain", UUID, "--paused",
    )  # fmt: skip
