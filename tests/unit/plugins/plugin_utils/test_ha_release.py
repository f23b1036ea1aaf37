# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only a host whose VMs are known to run is done."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import FINAL, PHASES
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._ha_release import word


def answer(phase: str | None, unit: str = "inactive", **vms: str) -> dict[str, Any]:
    found = [{"name": name, "result": state} for name, state in vms.items()]
    return {"status": phase and {"phase": phase}, "run_unit": unit, "result": {"result": "x", "vms": found}}


@pytest.mark.parametrize("result", ["updated", "aborted"])
def test_what_the_host_has_said_of_its_end(result: str) -> None:
    """It may be away by now."""
    assert word({}, {"result": result}, []) == "done"


@pytest.mark.parametrize("silent", [None, {}, "x", {"msg": "no answer"}, {"status": None}])
def test_a_host_that_does_not_answer(silent: object) -> None:
    for collected in ({}, None, {"result": "failed"}, {"result": "returned"}):
        assert word(silent, collected, ["web1"]) == "abandon"


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase not in FINAL])
def test_an_update_that_has_not_ended(phase: str) -> None:
    assert word(answer(phase, web1="restored"), {}, ["web1"]) == "abandon"


def test_nothing_begun_or_all_forgotten() -> None:
    assert word(answer(None), {}, []) == "done"
    assert word(answer(None, "activating"), {}, []) == "abandon"


@pytest.mark.parametrize("phase", ["done", "aborted"])
def test_an_end_with_all_vms(phase: str) -> None:
    assert word(answer(phase), {}, []) == "done"


@pytest.mark.parametrize(
    ("vms", "armed", "expected"),
    [
        ({"web1": "restored", "web2": "cold-started"}, ["web1", "web2"], "done"),
        ({"web1": "restored", "web2": "failed"}, ["web1", "web2"], "abandon"),
        ({"web1": "restored", "web2": "left"}, ["web1", "web2"], "abandon"),
        ({"web1": "restored"}, ["web1", "web2"], "abandon"),
        ({"web1": "restored"}, [], "abandon"),
        ({}, ["web1"], "abandon"),
    ],
)
def test_an_update_that_failed(vms: dict[str, str], armed: list[str], expected: str) -> None:
    """Of which each VM's result decides, and none may be missing."""
    assert word(answer("failed", **vms), {"result": "failed"}, armed) == expected
