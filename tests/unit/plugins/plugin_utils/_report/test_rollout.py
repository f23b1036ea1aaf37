# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts and batches of a rollout, from what each host says."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import rollout as _rollout

VERDICT: dict[str, Any] = {
    "serial": [1, "100%"], "on_refused": "stop", "on_unreachable": "stop", "report_dir": "/r", "hosts": "all",
    "result": "not begun", "error": "", "under_way": False, "predicted_s": 12.5,
}  # fmt: skip


def facts(**verdicts: dict[str, Any]) -> dict[str, Any]:
    return {name: {"live_update_verdict": VERDICT | changes} for name, changes in verdicts.items()}


def roll(**verdicts: dict[str, Any]) -> dict[str, Any]:
    return _rollout.rollout(list(verdicts), facts(**verdicts), 30)


@pytest.mark.parametrize(
    ("names", "serial", "expected"),
    [
        ("ab", [1, "100%"], ["a", "b"]),
        ("abcd", [1, "100%"], ["a", "bcd"]),
        ("abcde", [2], ["ab", "cd", "e"]),
        ("abcde", ["20%", 3], ["a", "bcd", "e"]),
        ("abc", ["1%"], ["a", "b", "c"]),
        ("abcd", ["62.5%"], ["ab", "cd"]),
        ("abc", [0], ["abc"]),
        ("abc", 2, ["ab", "c"]),
        ("abc", "2", ["ab", "c"]),
        ("abcd", "1, 100%", ["a", "bcd"]),
        ("abcd", "[1, '100%']", ["a", "bcd"]),
        ("abcd", '[1, "50%"]', ["a", "bc", "d"]),
        ("", [1], []),
    ],
)
def test_batches(names: str, serial: Any, expected: list[str]) -> None:  # noqa: ANN401 - Ansible takes several forms
    assert _rollout.predicted_batches(list(names), _rollout.serial(serial)) == [list(batch) for batch in expected]


@pytest.mark.parametrize(
    "serial", ["all", "", [], {}, {"a": 1}, None, True, [True], -1, ["-1"], ["101%"], ["1%%"], [[1]], 1.5, ["1", "x"]]
)
def test_serial_that_is_none_is_refused(serial: object) -> None:
    with pytest.raises(ValueError, match=r"live_update_serial is .*: give numbers of hosts or per cent"):
        _rollout.serial(serial)


def vm(name: object, pause_s: object = 1.25, without_vf_s: object = 2.5) -> dict[str, object]:
    return {"name": name, "live": True, "pause_s": pause_s, "without_vf_s": without_vf_s, "idle_pause_s": 0.0}


def test_prediction_reports_the_outage_of_each_vm() -> None:
    found = roll(a={"vms": [vm("web1"), vm("db1", 4, 9), vm("plain", 3, 0)]}, b={"vms": "none"})
    assert found["lines"][1:5] == [
        "  a: outage of about 12.5 s expected, the budget is 30 s",
        "    VM db1: about 4.0 s of standing still, 9.0 s without its VFs",
        "    VM plain: about 3.0 s of standing still, it has no VF",
        "    VM web1: about 1.2 s of standing still, 2.5 s without its VFs",
    ]


def test_of_many_vms_those_with_the_longest_outage_are_shown() -> None:
    found = roll(a={"vms": [vm(f"v{number}", number, number) for number in range(1, 15)]})["lines"]
    assert [line.split(":")[0].strip() for line in found[2:12]] == [f"VM v{number}" for number in range(14, 4, -1)]
    assert found[12:] == ["    and 4 more VMs, none of them longer"]


@pytest.mark.parametrize(
    "one", [vm(7), vm("a", "x"), vm("a", float("nan")), vm("a", 1, True), {"name": "a"}, "a", None]
)
def test_what_is_no_estimate_is_left_out(one: object) -> None:
    assert len(roll(a={"vms": [one]})["lines"]) == 2


def test_names_of_vms_stay_text() -> None:
    assert "\x1b" not in roll(a={"vms": [vm("a\x1b[2J")]})["lines"][2]


def test_prediction_reports_the_outage_of_each_host() -> None:
    found = roll(a={}, b={"under_way": True}, c={"result": "nothing to do"})
    assert found["lines"] == [
        "batch 1: a",
        "  a: outage of about 12.5 s expected, the budget is 30 s",
        "batch 2: b",
        "  b: its update was begun before, it is waited for",
        "c: runs the kernel already, nothing to do",
    ]
    assert (found["batches"], found["sizes"], found["stopped"]) == ([["a"], ["b"]], [1, 2], "")


@pytest.mark.parametrize("kind", ["refused", "unreachable"])
def test_one_host_stops_all_by_default(kind: str) -> None:
    found = roll(a={}, b={"result": kind, "error": "why"}, c={})
    assert found["stopped"] == f"b is {kind}, and live_update_on_{kind} is stop"
    assert (found["batches"], found["sizes"]) == ([], [])
    assert found["hosts"]["b"] == {"result": kind, "error": "why"}
    assert f"b: {kind}: why" in found["lines"]


@pytest.mark.parametrize("kind", ["refused", "unreachable"])
def test_a_skipped_host_leaves_the_canary_to_another(kind: str) -> None:
    """A batch of hosts that do nothing would be no canary."""
    skip = {"on_refused": "skip", "on_unreachable": "skip"}
    found = roll(a={**skip, "result": kind}, b=skip, c={**skip, "result": "nothing to do"}, d=skip, e=skip)
    assert (found["stopped"], found["batches"], found["sizes"]) == ("", [["b"], ["d", "e"]], [2, 3])
    assert set(found["hosts"]) == set("abcde")


@pytest.mark.parametrize(
    ("names", "batches", "sizes"),
    [
        ("abc", ["a", "bc"], [1, 2]),
        ("abcdef", ["b", "cd"], [2, 4]),
        ("abcdef", ["ac", "e", "f"], [3, 2, 1]),
        ("abc", ["c"], [3]),
        ("abc", [], []),
        ("", [], []),
    ],
)
def test_sizes_divide_all_hosts(names: str, batches: list[str], sizes: list[int]) -> None:
    assert _rollout.sizes(names, batches) == sizes
    left = list(names)
    for size, batch in zip(sizes, batches):
        assert [name for name in left[:size] if name in "".join(batches)] == list(batch)
        left = left[size:]
    assert left == ([] if sizes else list(names))


def test_each_policy_is_for_its_own_kind() -> None:
    skip = {"on_refused": "skip"}
    found = roll(a={**skip, "result": "refused"}, b={**skip, "result": "unreachable"}, c=skip)
    assert found["stopped"] == "b is unreachable, and live_update_on_unreachable is stop"


def test_many_refused_hosts_are_counted() -> None:
    found = roll(**{f"h{number}": {"result": "refused"} for number in range(3000)})
    assert found["stopped"] == "h0, h1, h2, h3, h4 and 2995 more are refused, and live_update_on_refused is stop"


@pytest.mark.parametrize(
    ("member", "name", "other"),
    [
        ("serial", "live_update_serial", [5]),
        ("on_refused", "live_update_on_refused", "skip"),
        ("on_unreachable", "live_update_on_unreachable", "skip"),
        ("report_dir", "live_update_report_dir", "/elsewhere"),
        ("hosts", "live_update_hosts", "b"),
    ],
)
def test_a_setting_of_the_run_that_differs_is_refused(member: str, name: str, other: object) -> None:
    with pytest.raises(ValueError, match=rf"{name} is one setting of the whole run, and is .* of a and .* of c"):
        roll(a={}, b={}, c={member: other})


def test_hosts_that_the_inventory_leaves_out_are_refused() -> None:
    """The play has taken them: it sees extra variables alone."""
    with pytest.raises(ValueError, match="live_update_hosts in the inventory leaves out b, c, of this run"):
        _rollout.rollout(["a", "b", "c"], facts(a={}, b={}, c={}), 30, ["a", "elsewhere"])


def test_policies_are_two_words() -> None:
    with pytest.raises(ValueError, match='live_update_on_refused is "ignore": it is one of stop, skip'):
        roll(a={"on_refused": "ignore"})
