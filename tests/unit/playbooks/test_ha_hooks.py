# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/live_update.yml: hooks that hold and release a host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fake.fleet.played import Fleet

pytestmark = pytest.mark.slow  # runs of ansible-playbook


def hooks(fleet: Fleet, fails: str = "") -> dict[str, Any]:
    """Hooks that note their words; those with ``fails`` in them fail."""
    program = fleet.folder / "ha"
    program.write_text(
        f'#!/bin/sh\nprintf "%s|" "$@" >>{fleet.folder}/said; echo >>{fleet.folder}/said\n'
        f'case "$*" in *"{fails or "never"}"*) echo "HA says no" >&2; exit 3 ;; esac\n'
    )
    program.chmod(0o755)
    return {
        "live_update_hold": [str(program), "hold; $(x)"], "live_update_release": [str(program), "release"],
        "live_update_hold_s": 3500, "live_update_act_timeout_s": 100,
    }  # fmt: skip


def said(fleet: Fleet) -> list[str]:
    """Calls of hooks, and of the node's program but its status."""
    path = fleet.folder / "said"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if line != "live-update status"]


def options(fleet: Fleet, name: str = "h1") -> dict[str, Any]:
    asked = json.loads(Path(fleet.folder / "hosts" / name / "state.json").read_text())["asked"]
    return dict(asked[-1][3])


def test_each_host_is_held_and_released(fleet: Fleet) -> None:
    """The node counts on less than the manager was asked for."""
    for name in ("h1", "h2"):
        fleet.host(name)
    done = fleet.run(**hooks(fleet), live_update_serial=[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert said(fleet) == [
        line for name in ("h1", "h2") for line in (f"hold; $(x)|{name}|3600|", f"release|{name}|done|")
    ]
    assert 3400 < options(fleet)["hold_s"] < 3500


def test_a_hold_that_fails_leaves_the_host_alone(fleet: Fleet) -> None:
    for name in ("h1", "h2"):
        fleet.host(name)
    done = fleet.run(**hooks(fleet, "hold;"), live_update_serial=[1])
    assert done.returncode != 0
    assert "HA says no" in str(fleet.report()["hosts"][0]["error"])
    assert (fleet.log("h1"), fleet.log("h2")) == ([], [])
    assert said(fleet) == ["hold; $(x)|h1|3600|", "release|h1|done|"]


def test_a_refused_host_is_not_held(fleet: Fleet) -> None:
    fleet.host("h1", refusals=[{"code": "x", "problem": "PF a is in switchdev mode", "fix": "leave it out"}])
    assert fleet.run(**hooks(fleet)).returncode != 0
    assert said(fleet) == []


def test_check_mode_shows_hooks_and_calls_none(fleet: Fleet) -> None:
    fleet.host("h1")
    done = fleet.run("--check", **hooks(fleet))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{fleet.folder}/ha 'hold; $(x)' h1 3600" in done.stdout
    assert f"{fleet.folder}/ha release h1 done" in done.stdout
    assert said(fleet) == []


@pytest.mark.parametrize(("end", "word"), [("aborted", "done"), ("failed", "abandon")])
def test_a_host_that_was_not_updated(fleet: Fleet, end: str, word: str) -> None:
    """Abandoned on the node first, then at the manager."""
    fleet.host("h1", sequence=["armed", "saving", end])
    state = fleet.folder / "hosts/h1/state.json"
    found = json.loads(state.read_text())
    found["result"]["vms"][0]["result"] = "failed" if end == "failed" else "resumed-here"
    state.write_text(json.dumps(found))
    assert fleet.run(**hooks(fleet)).returncode != 0
    at_node = [line for line in said(fleet) if line.startswith("live-update abandon")]
    assert said(fleet)[-1] == f"release|h1|{word}|"
    assert at_node == (["live-update abandon"] if word == "abandon" else [])
    assert word == "done" or said(fleet)[-2] == "live-update abandon"


def test_a_host_that_went_away_is_abandoned(fleet: Fleet) -> None:
    fleet.host("h1", away_at="started")
    assert fleet.run(**hooks(fleet), live_update_timeout_s=3, live_update_answer_timeout_s=20).returncode != 0
    assert said(fleet)[-1] == "release|h1|abandon|"


def test_a_release_that_fails_is_typed_by_a_person(fleet: Fleet) -> None:
    """The host was updated, and the run fails for it."""
    fleet.host("h1")
    done = fleet.run(**hooks(fleet, "release"))
    assert done.returncode != 0
    words = f"It was not released (HA says no); type {fleet.folder}/ha release h1 done"
    assert words in done.stdout
    assert words in fleet.report()["hosts"][0]["error"]
    assert fleet.log("h1")[-1] == "acknowledged"


def test_an_update_that_was_begun_is_released(fleet: Fleet) -> None:
    """By an earlier run, which has held it."""
    fleet.host("h1", phase="saving")
    done = fleet.run(**hooks(fleet))
    assert done.returncode == 0, done.stdout + done.stderr
    assert said(fleet) == ["release|h1|done|"]


def test_one_hook_without_the_other_is_refused(fleet: Fleet) -> None:
    fleet.host("h1")
    done = fleet.run(**{**hooks(fleet), "live_update_release": []})
    assert done.returncode != 0
    assert "live_update_hold and live_update_release belong together" in done.stdout
    assert said(fleet) == []
