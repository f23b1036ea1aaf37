# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/rehearse.yml in mode boot, on played hosts."""

from __future__ import annotations

import time

import pytest

from tests.fake.fleet.played import Fleet

pytestmark = pytest.mark.slow  # runs of ansible-playbook
WORDS = {"live_update_rehearsal_mode": "boot"}


@pytest.fixture(autouse=True)
def rehearse(fleet: Fleet) -> None:
    fleet.playbook = "rehearse"


def test_a_host_is_followed_through_its_jump(fleet: Fleet) -> None:
    fleet.host("h1")
    done = fleet.run(**WORDS)
    assert done.returncode == 0, done.stdout
    assert fleet.log("h1") == ["started", "saving", "kexec", "resuming", "done", "finished"]
    assert "4.25" in done.stdout


def test_one_that_is_under_way_is_followed(fleet: Fleet) -> None:
    """Who comes later begins none: the host may jump at once."""
    fleet.host("h1", phase="saving")
    assert fleet.run(**WORDS).returncode == 0
    assert fleet.log("h1")[-1] == "finished"
    assert "started" not in fleet.log("h1")


def test_what_failed_is_removed_and_said(fleet: Fleet) -> None:
    fleet.host("h1", differs=True)
    done = fleet.run(**WORDS)
    assert done.returncode != 0
    assert fleet.log("h1")[-2:] == ["finished", "absent"]
    assert "h1: " in done.stdout
    assert "its memory is not what it was" in done.stdout


def test_a_host_that_hangs_holds_up_no_other(fleet: Fleet) -> None:
    """What is left there the rehearsal removes, as after any failure."""
    fleet.host("h1")
    fleet.host("h2", hangs_at="started")
    begin = time.monotonic()
    done = fleet.run(**WORDS, live_update_act_timeout_s=3)
    assert time.monotonic() - begin < 55
    assert done.returncode != 0
    assert "h2: " in done.stdout
    assert "Timed out after 3" in done.stdout
    assert fleet.log("h1")[-1] == "finished"
    assert fleet.log("h2") == ["absent"]


def test_a_host_that_hangs_to_the_end_is_given_up(fleet: Fleet) -> None:
    fleet.host("h1", differs=True, hangs_at="absent")
    begin = time.monotonic()
    done = fleet.run(**WORDS, live_update_act_timeout_s=3)
    assert time.monotonic() - begin < 55
    assert done.returncode != 0
    assert "its memory is not what it was" in done.stdout
    assert "what is left of it was not removed: " in done.stdout


def test_check_mode_asks_only_whether_it_could_begin(fleet: Fleet) -> None:
    fleet.host("h1")
    assert fleet.run("--check", **WORDS).returncode == 0
    assert fleet.log("h1") == ["started"]


def test_an_unknown_mode_is_refused(fleet: Fleet) -> None:
    fleet.host("h1")
    assert fleet.run(live_update_rehearsal_mode="jump").returncode != 0
    assert fleet.log("h1") == []
