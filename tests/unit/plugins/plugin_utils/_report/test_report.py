# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of the report, computed from logs and results alone."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.filter.internal import FUNCTIONS
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import report as _report
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import text, timeline
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report.html import page
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report.report import Heartbeat

KEYS = {
    "name", "kernel_before", "kernel_after", "interface", "pfs", "vfs_enabled", "used_ids",
    "present_ids_at_first_restore", "present_ids_at_last_restore", "vfs_present_at_end", "phases", "vms", "result",
    "error", "update", "predicted_s", "basis", "moved", "strategies",
}  # fmt: skip
VM_KEYS = {
    "name", "vfs", "paused_at", "stopped_at", "resumed_at", "seen_at", "seen_by", "not_seen", "gap_s", "outage_s",
    "is_over", "pause_s", "parts", "state", "not_compared", "boot_id_before", "boot_id_after", "counter_before",
    "counter_after", "result", "error",
}  # fmt: skip
PF = "0000:03:00.0"
PING = "ping of 10.77.1.16 from the host"


def line(stamp: float, counter: int, boot: str = "b1") -> str:
    return f"{stamp:.6f} h1 systemd-run[77]: life n={counter} boot={boot} up={counter / 2}"


def log(*lines: str) -> str:
    return "\n".join(["1000.000000 h1 systemd-run[77]: guest up boot=b1", *lines, "64 bytes from 10.77.1.1: seq=1"])


LOG = log(line(1010.0, 1), line(1010.5, 2), line(1013.0, 3), line(1050.25, 4), line(1050.75, 5))
RESULT: dict[str, Any] = {
    "manifest": "0" * 32, "host": "h1", "kernel_before": "6.12-old", "kernel_after": "6.12-new", "interface": "vf-id",
    "pfs": [PF], "vfs_enabled": {PF: 7}, "used_ids": {PF: [6]}, "present_ids_at_first_restore": {PF: [6]},
    "present_ids_at_last_restore": {PF: [6]}, "vfs_present_at_end": {PF: 7},
    "phases": [
        {"name": "saving", "start": 1011.0, "end": 1015.0}, {"name": "kexec", "start": 1015.0, "end": 1045.0},
        {"name": "restoring", "start": 1045.0, "end": 1050.2}, {"name": "filling", "start": 1050.2, "end": 1052.0},
    ],
    "vms": [
        {"name": "web1", "vfs": ["0000:04:11.4"], "paused_at": 1011.0, "stopped_at": 1013.0, "saved_at": 1015.0,
         "resumed_at": 1050.2, "seen_at": 1051.5, "seen_by": PING, "not_seen": None, "result": "restored",
         "error": None},
    ],
    "result": "updated", "error": None,
}  # fmt: skip


def evidence(folder: Path, name: str = "h1", batch: list[str] | None = None, **changes: object) -> None:
    """The files that the role keeps of one host."""
    path = folder / name
    path.mkdir(parents=True)
    (path / "result.json").write_text(json.dumps({**RESULT, **changes}))
    (path / "host.json").write_text(json.dumps({"name": name, "batch": batch or [name], "patterns": {}}))
    (path / "guest-web1.log").write_text(LOG)


def test_report_has_exactly_the_keys_of_the_issue(tmp_path: Path) -> None:
    evidence(tmp_path)
    report = _report.report_from_evidence(str(tmp_path))
    assert set(report) == {"run", "hosts", "batches"}
    assert set(report["hosts"][0]) == KEYS
    assert set(report["hosts"][0]["vms"][0]) == VM_KEYS
    assert json.loads(json.dumps(report)) == report


def test_figures_come_from_the_guests_own_log(tmp_path: Path) -> None:
    evidence(tmp_path)
    vm = _report.report_from_evidence(str(tmp_path))["hosts"][0]["vms"][0]
    assert vm == {
        "name": "web1", "vfs": ["0000:04:11.4"], "paused_at": 1011.0, "stopped_at": 1013.0, "resumed_at": 1050.2,
        "seen_at": 1051.5, "seen_by": PING, "not_seen": None, "gap_s": 37.25, "outage_s": 40.5, "is_over": True,
        "pause_s": 37.2, "state": "went on", "not_compared": [],
        "parts": [{"name": "saving", "s": 4.0}, {"name": "kexec", "s": 30.0}, {"name": "restoring", "s": 5.2},
                  {"name": "guest until its VF answers", "s": 1.3}],
        "boot_id_before": "b1", "boot_id_after": "b1", "counter_before": 2, "counter_after": 4, "result": "restored",
        "error": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "gap", "before", "after"),
    [
        ("", None, None, None),
        (log(line(1010.0, 1)), None, 1, None),
        (log(line(1010.0, 1), line(1050.0, 2)), 40.0, 1, 2),
        (log(line(1050.0, 2), line(1010.0, 1)), 40.0, 1, 2),
        (log(line(1010.0, 9), line(1060.0, 1, "b2")), 50.0, 9, 1),
        (log(line(900.0, 1), line(1010.0, 2), line(1050.0, 3)), 40.0, 2, 3),
        ("not a log at all\n1010.0 h1 x: life n=x boot=", None, None, None),
    ],
    ids=["empty", "silent after", "plain", "unsorted", "another boot", "a longer gap before", "noise"],
)
def test_logs(text: str, gap: float | None, before: int | None, after: int | None) -> None:
    vm = _report.vm_report(RESULT["vms"][0], _report.parse_log(text))
    assert (vm["gap_s"], vm["counter_before"], vm["counter_after"]) == (gap, before, after)
    assert vm["outage_s"] == max(gap or 0, 40.5)


def test_vm_that_was_never_paused_has_no_before_and_after() -> None:
    vm = {**RESULT["vms"][0], "paused_at": None, "resumed_at": None}
    found = _report.vm_report(vm, _report.parse_log(LOG))
    assert (found["counter_before"], found["boot_id_after"]) == (None, None)


def test_other_patterns() -> None:
    text = "5.5 h x: alive 12 in cafe\n6.25 h x: alive 13 in cafe"
    assert _report.parse_log(text, r"alive (\d+) in (\w+)") == [Heartbeat(5.5, 12, "cafe"), Heartbeat(6.25, 13, "cafe")]


def test_batches_are_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    later = [{"name": "saving", "start": 2000.0, "end": 2001.0}]
    evidence(tmp_path, "h3", ["h1", "h3"], phases=later)
    evidence(tmp_path, "h1", ["h1", "h3"], phases=later)
    evidence(tmp_path, "h2", ["h2"])
    evidence(tmp_path, "other", ["other", "gone"])
    asked = {name: {"result": "not begun", "error": ""} for name in ("h1", "h2", "h3")}
    assert _report.report_from_evidence(str(tmp_path), "r", asked)["batches"] == [["h2"], ["h1", "h3"]]


def test_what_was_predicted_is_beside_what_was(tmp_path: Path) -> None:
    """And on what that rested: a rehearsal, or a default."""
    evidence(tmp_path)
    basis = {"boot_s": "default", "rate_mib_s": "rehearsal of /x<b>"}
    about = {"name": "h1", "batch": ["h1"], "patterns": {}, "predicted_s": 12.5, "basis": basis}
    (tmp_path / "h1/host.json").write_text(json.dumps(about))
    report = _report.report_from_evidence(str(tmp_path))
    assert (report["hosts"][0]["predicted_s"], report["hosts"][0]["basis"]) == (12.5, basis)
    words = ", 12.5 s of outage predicted (time of boot by default, disk speed by rehearsal of /x"
    assert f"{words}<b>)" in text.lines(report)[1]
    assert f"{words}&lt;b&gt;)" in page(report)
    (tmp_path / "h1/host.json").write_text(json.dumps({**about, "predicted_s": "x", "basis": [7]}))
    assert "predicted" not in page(_report.report_from_evidence(str(tmp_path)))


def test_every_host_that_was_asked_for_is_there_lost_ones_first(tmp_path: Path) -> None:
    evidence(tmp_path, "good")
    evidence(tmp_path, "bad", result="aborted", error="VM web1: the guest refused")
    evidence(tmp_path, "ill")
    evidence(tmp_path, "late", result=None)
    (tmp_path / "ill/failure.json").write_text('{"error": "ping: nobody answers"}')
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone/failure.json").write_text('{"error": "no route to host"}')
    asked = {name: {"result": "not begun", "error": ""} for name in ("good", "bad", "ill", "late", "gone", "next")}
    asked |= {
        "away": {"result": "unreachable", "error": "no answer"},
        "same": {"result": "nothing to do", "error": ""},
        "paused": {"result": "refused", "error": "VM web1 is paused"},
    }
    report = _report.report_from_evidence(str(tmp_path), "r", asked)
    assert [(host["name"], host["result"], host["error"]) for host in report["hosts"]] == [
        ("away", "unreachable", "no answer"),
        ("bad", "aborted", "VM web1: the guest refused"),
        ("gone", "failed", "no route to host"),
        ("ill", "failed", "ping: nobody answers"),
        ("late", "unfinished", ""),
        ("paused", "refused", "VM web1 is paused"),
        ("next", "not begun", ""),
        ("good", "updated", ""),
        ("same", "nothing to do", ""),
    ]
    shown = page(report)
    for words in ("no route to host", "VM web1 is paused", "nobody answers", "the guest refused"):
        assert words in shown
        assert words in "\n".join(text.lines(report))
    assert "1 of 9 hosts updated" in shown
    lost = text.lost(report, most=2)
    assert lost[1] == "4 of 4 VMs went on where they were"
    assert lost[2:] == [
        "away: unreachable: no answer",
        "bad: aborted: VM web1: the guest refused",
        "and 4 more, see the report",
    ]


def test_a_failure_counts_whatever_the_evidence_is_like(tmp_path: Path) -> None:
    evidence(tmp_path, "h1", result="aborted", error="the guest refused")
    (tmp_path / "h1/failure.json").write_text('{"error": "h1 aborted: the guest refused"}')
    evidence(tmp_path, "h2")
    (tmp_path / "h2/failure.json").write_text("[]")
    first, second = _report.report_from_evidence(str(tmp_path))["hosts"]
    assert (first["result"], first["error"]) == ("aborted", "h1 aborted: the guest refused")
    assert second["result"] == "failed"
    assert "failure.json cannot be read" in second["error"]


def test_lines_are_to_scale(tmp_path: Path) -> None:
    evidence(tmp_path)
    lines = text.lines(_report.report_from_evidence(str(tmp_path)), width=41)
    assert lines[0] == "batch 1: h1"
    assert "6.12-old -> 6.12-new (vf-id)" in lines[1]
    bars = {text.split("|")[0].strip(): text.split("|")[1] for text in lines if "|" in text}
    assert bars["saving"] == "====".ljust(41)
    assert bars["kexec"] == "    " + "=" * 30 + " " * 7
    assert bars["VM web1"].index("#") == 0
    assert bars["VM web1"].count("#") == 40
    assert f"outage 40.50 s, went on, seen by {PING}, counter 2 -> 4" in "\n".join(lines)
    assert "= saving 4.00 + kexec 30.00 + restoring 5.20 + guest until its VF answers 1.30" in "\n".join(lines)
    assert lines[-1] == "  VFs: 7 enabled; present: 1 at the first restore, 1 at the last, 7 at the end"


@pytest.mark.parametrize(
    "line",
    [
        "5.0 h q[1]: life n=" + "9" * 5000 + " boot=cafe",
        "5.0 h q[1]: life n=\u0663 boot=cafe",
        "9" * 5000 + ".0 h q[1]: life n=3 boot=cafe",
        "\u0665.0 h q[1]: life n=3 boot=cafe",
        "nan h q[1]: life n=3 boot=cafe",
    ],
)
def test_a_guest_that_prints_nonsense_is_not_heard(line: str) -> None:
    assert _report.parse_log(f"{line}\n6.0 h q[1]: life n=7 boot=cafe\n") == [Heartbeat(6.0, 7, "cafe")]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_a_guest_forges_no_stamp(mark: str) -> None:
    """Its outage would look shorter than it was."""
    forged = f"5.0 h q[1]: life n=1 boot=cafe{mark}20.0 h q[1]: life n=2 boot=cafe\n"
    found = _report.parse_log(forged + "35.0 h q[1]: life n=3 boot=cafe\n")
    assert [one.time for one in found] == [5.0, 35.0]


# what is written in the place of result.json, a part of what the report says of it
DAMAGED: list[tuple[bytes, str]] = [
    (b"", "result.json is not JSON"),
    (b"{}", "result.json lacks kernel_before"),
    (b"[]", "result.json holds list, no object"),
    (b"[" * 100_000, "result.json is not JSON"),
    (b"\xff", "result.json is not JSON"),
    (json.dumps({**RESULT, "phases": [{"name": 1, "start": 0, "end": 1}]}).encode(), "a phases that is none"),
    (json.dumps({**RESULT, "phases": [{"name": "a", "start": "x", "end": 1}]}).encode(), "a phases that is none"),
    (
        json.dumps({**RESULT, "phases": [{"name": "a", "start": float("inf"), "end": 1}]}).encode(),
        "a phases that is none",
    ),
    (json.dumps({**RESULT, "phases": [{"name": "a", "start": 1e300, "end": 1e301}]}).encode(), "a phases that is none"),
    (json.dumps({**RESULT, "phases": [{"name": "a", "start": -1, "end": 1}]}).encode(), "a phases that is none"),
    (json.dumps({**RESULT, "vms": [7]}).encode(), "a vms that is none"),
    (json.dumps({**RESULT, "vms": [{**RESULT["vms"][0], "vfs": [7]}]}).encode(), "a vms that is none"),
    (json.dumps({**RESULT, "vfs_enabled": {"a": "7"}}).encode(), "a vfs_enabled that is none"),
    (json.dumps({**RESULT, "used_ids": {"a": 7}}).encode(), "a used_ids that is none"),
    (json.dumps({**RESULT, "pfs": [[]]}).encode(), "a pfs that is none"),
    (json.dumps({**RESULT, "result": {}}).encode(), "a result that is none"),
]


@pytest.mark.parametrize(("text", "words"), DAMAGED)
def test_one_hosts_damaged_evidence_is_its_own(tmp_path: Path, text: bytes, words: str) -> None:
    evidence(tmp_path, "h1", ["h1", "h2"])
    evidence(tmp_path, "h2", ["h1", "h2"])
    (tmp_path / "h1/result.json").write_bytes(text)
    report = _report.report_from_evidence(str(tmp_path))
    damaged, good = report["hosts"]
    assert (damaged["name"], damaged["vms"]) == ("h1", [])
    assert damaged["result"].startswith("unreadable evidence: ")
    assert words in damaged["result"]
    assert (good["name"], good["result"]) == ("h2", "updated")
    assert report["batches"] == [["h1", "h2"]]
    assert "unreadable evidence" in page(report)
    assert "1 of 2 hosts updated" in page(report)


def test_a_clock_set_back_gives_no_negative_phase(tmp_path: Path) -> None:
    """How long it took is not known; all other phases are."""
    phases = [{"name": "saving", "start": 5000.0, "end": 1410.0}, {"name": "kexec", "start": 1410.0, "end": 1440.0}]
    evidence(tmp_path, "h1", phases=phases)
    report = _report.report_from_evidence(str(tmp_path))
    shown = page(report) + "\n".join(text.lines(report))
    assert [phase["end"] for phase in report["hosts"][0]["phases"]] == [None, 1440.0]
    assert "30.00 s" in shown
    assert "-3590" not in shown


def test_a_host_without_facts_has_its_folders_name(tmp_path: Path) -> None:
    evidence(tmp_path, "h1")
    (tmp_path / "h1/host.json").write_text("{}")
    (host,) = _report.report_from_evidence(str(tmp_path))["hosts"]
    assert (host["name"], "name" in host["result"]) == ("h1", True)


def test_page_is_whole_and_self_contained(tmp_path: Path) -> None:
    evidence(tmp_path, "h<1>", ["h<1>"])
    evidence(tmp_path, "h2", ["h2"], result="failed", vms=[])
    text = page(_report.report_from_evidence(str(tmp_path)))
    assert "h&lt;1&gt;" in text
    assert "h<1>" not in text
    assert "Content-Security-Policy" in text
    for outside in ("http://", "https://", "<script", "@import"):
        assert outside not in text
    assert not re.search(r"url\((?!#)", text)
    assert text.count("<svg") == 3
    assert text.count("6 of 7 VFs were added after the last VM had returned") == 2
    assert "40.50 s" in text
    for svg in [part.split("</svg>")[0] for part in text.split("<svg")[1:]]:
        ElementTree.fromstring("<svg" + svg + "</svg>")
    assert "1 of 2 hosts updated; 1 of 1 VMs went on where they were, longest outage 40.50 s" in text


def test_no_phase_leaves_its_attribute(tmp_path: Path) -> None:
    evidence(tmp_path, "h1", phases=[{"name": 'x"><script>a', "start": 1.0, "end": 2.0}])
    text = page(_report.report_from_evidence(str(tmp_path)))
    assert 'x"' not in text
    assert "<script" not in text


@pytest.mark.parametrize(
    ("total", "last", "count"), [(0.8, 0.8, 9), (7.0, 7.0, 8), (53.0, 50.0, 6), (1000.0, 1000.0, 6), (130.0, 120.0, 7)]
)
def test_ticks_are_round(total: float, last: float, count: int) -> None:
    found = timeline.ticks(total)
    assert found[-1] == pytest.approx(last)
    assert len(found) == count


def test_filters() -> None:
    assert FUNCTIONS["last_heartbeat"](LOG) == 1050.75
    assert FUNCTIONS["last_heartbeat"]("nothing") == 0.0
    assert FUNCTIONS["finding"]({"problem": "x is y", "fix": "do z"}) == "x is y: do z"


HOSTILE = "<img src=x onerror='alert(1)'>\"{{ 7777 * 7 }}{% raw %}\x1b[2J"


def test_no_text_of_a_host_is_markup_a_template_or_a_terminals_command(tmp_path: Path) -> None:
    evidence(tmp_path, "h1", ["web1"])
    report = _report.report_from_evidence(str(tmp_path))
    host = report["hosts"][0]
    host |= dict.fromkeys(("name", "result", "error", "kernel_before", "kernel_after", "interface", "update"), HOSTILE)
    host["vms"][0] |= {"name": HOSTILE, "vfs": [HOSTILE], "state": HOSTILE, "error": HOSTILE, "seen_by": HOSTILE}
    host["pfs"], report["run"] = [HOSTILE], HOSTILE
    shown = page(report)
    assert "<img" not in shown
    assert '"{{' not in shown
    assert "54439" not in shown
    assert shown.count("&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&#34;{{ 7777 * 7 }}{% raw %}") >= 10
    assert "\x1b" not in "".join(text.lines(report))


def test_the_updates_id_is_shown(tmp_path: Path) -> None:
    evidence(tmp_path, "h1")
    report = _report.report_from_evidence(str(tmp_path))
    report["hosts"][0]["update"] = "0123abcd"
    assert "update <code>0123abcd</code>" in page(report)


def test_images_that_were_not_compared_are_said(tmp_path: Path) -> None:
    """The VM went on, on the word of the operator's hook."""
    evidence(tmp_path, vms=[{**RESULT["vms"][0], "not_compared": ["rbd:pool/web1"]}])
    report = _report.report_from_evidence(str(tmp_path))
    for shown in ("\n".join(text.lines(report)), page(report)):
        assert "not compared: rbd:pool/web1" in shown


@pytest.mark.parametrize("names", ["rbd:x", [5], {"a": 1}])
def test_names_of_images_that_are_none(tmp_path: Path, names: object) -> None:
    evidence(tmp_path, vms=[{**RESULT["vms"][0], "not_compared": names}])
    report = _report.report_from_evidence(str(tmp_path))
    assert report["hosts"][0]["result"].startswith("unreadable evidence: ")
