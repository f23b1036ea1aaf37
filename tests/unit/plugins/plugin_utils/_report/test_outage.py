# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Outages of VMs: their parts, and what is known of their end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import outage, text
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import report as _report
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report.html import page
from tests.unit.plugins.plugin_utils._report.test_report import LOG, PING, RESULT, evidence

VM: dict[str, Any] = RESULT["vms"][0]
BEATS = _report.parse_log(LOG)
OFF: dict[str, Any] = {"seen_at": None, "seen_by": None}


def reported(beats: bool = True, **changes: object) -> dict[str, Any]:
    return _report.vm_report({**VM, **changes}, BEATS if beats else [], RESULT["phases"])


@pytest.mark.parametrize(
    ("changes", "beats", "state", "over"),
    [
        ({}, True, "went on", True),
        ({}, False, "went on", True),
        ({"seen_at": None, "not_seen": "no answer"}, True, "resumed, VF not seen", False),
        (OFF, True, "resumed, VF not checked", False),
        (OFF, False, "resumed, VF not checked", False),
        ({**OFF, "vfs": []}, True, "went on", True),
        ({**OFF, "vfs": []}, False, "resumed, has no VF and no heartbeat", False),
        ({"result": "resumed-here"}, True, "went on", True),
        ({"result": "cold-started"}, False, "was started anew", True),
        ({**OFF, "result": "failed", "resumed_at": None}, True, "is failed", False),
        ({**OFF, "result": None, "resumed_at": None}, False, "is unknown", False),
    ],
)
def test_only_what_was_seen_went_on(changes: dict[str, Any], beats: bool, state: str, over: bool) -> None:
    found = reported(beats, **changes)
    assert (found["state"], found["is_over"]) == (state, over)
    assert outage.went_on(found) is (state == "went on")


def test_a_guest_that_boots_anew_has_not_gone_on() -> None:
    """Whatever answers at its address."""
    beats = [*BEATS[:2], *(_report.Heartbeat(one.time, 1, "b2") for one in BEATS[3:])]
    assert _report.vm_report(VM, beats, RESULT["phases"])["state"] == "was started anew"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        OFF,
        {**OFF, "vfs": []},
        {"seen_at": 1400.0},
        {"paused_at": 1013.0},
        {"seen_at": 1050.2},
        {"resumed_at": 1060.0},
    ],
)
@pytest.mark.parametrize("beats", [True, False])
def test_the_parts_are_the_whole_outage(changes: dict[str, Any], beats: bool) -> None:
    found = reported(beats, **changes)
    assert sum(part["s"] for part in found["parts"]) == pytest.approx(found["outage_s"])
    assert found["outage_s"] >= (found["gap_s"] or 0)
    assert found["outage_s"] > found["resumed_at"] - found["paused_at"] - 0.001 or found["seen_at"] is not None


def test_a_hole_between_phases_is_unexplained() -> None:
    phases = [one for one in RESULT["phases"] if one["name"] != "restoring"]
    parts = _report.vm_report(VM, BEATS, phases)["parts"]
    assert parts[-1] == {"name": "unexplained", "s": 5.2}


def test_an_outage_that_nobody_saw_end_is_at_least_so_long() -> None:
    """The VM has no VF until it runs, whatever its console says."""
    assert outage.shown(reported(**OFF)) == "at least 39.20 s"
    assert outage.shown(reported()) == "40.50 s"
    assert outage.shown(reported(False, paused_at=None, **OFF)) == "unknown"


def test_what_the_controller_saw_counts(tmp_path: Path) -> None:
    evidence(tmp_path)
    (tmp_path / "h1/seen.json").write_text(
        json.dumps({"web1": {"seen_at": None, "seen_by": PING, "not_seen": "no <b>answer"}})
    )
    report = _report.report_from_evidence(str(tmp_path))
    assert report["hosts"][0]["vms"][0]["state"] == "resumed, VF not seen"
    shown = "\n".join(text.lines(report))
    assert "outage at least 39.20 s, resumed, VF not seen: no <b>answer, counter 2 -> 4" in shown
    assert "0 of 1 VMs went on where they were; 1 resumed, VF not seen" in page(report)
    assert "no &lt;b&gt;answer" in page(report)


@pytest.mark.parametrize(
    "data",
    [[], {"web1": 7}, {"web1": {"seen_at": 1.0}}, {"web1": {"seen_at": "x", "seen_by": None, "not_seen": None}},
     {"web1": {"seen_at": 1.0, "seen_by": 7, "not_seen": None}}],
)  # fmt: skip
def test_damaged_evidence_is_its_hosts_own(tmp_path: Path, data: object) -> None:
    evidence(tmp_path)
    (tmp_path / "h1/seen.json").write_text(json.dumps(data))
    assert "seen.json has a seen that is none" in _report.report_from_evidence(str(tmp_path))["hosts"][0]["result"]


def test_the_summary_says_what_is_known_of_the_others() -> None:
    found = [reported(), reported(**OFF), reported(**OFF), reported(False, **{**OFF, "vfs": []})]
    assert outage.summary(found) == (
        "1 of 4 VMs went on where they were; 2 resumed, VF not checked; 1 resumed, has no VF and no heartbeat"
    )
