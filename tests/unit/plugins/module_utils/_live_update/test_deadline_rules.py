# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deadlines that contradict each other end in the preflight, with values."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import deadline_rules, preflight
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.facts import Facts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options

from .test_preflight import BACKENDS, GOOD, VM

DEFAULTS = yaml.safe_load(Path("roles/live_update/defaults/main.yml").read_text(encoding="utf-8"))
GIB = 1 << 30


def of(count: int, gib: int, live: bool = True) -> Facts:
    vms = tuple(replace(VM, name=f"web{n}", memory_bytes=gib * GIB, live=live) for n in range(count))
    return replace(GOOD, vms=vms, disk_free_bytes=1 << 50)


def refusals(facts: Facts, **changes: Any) -> list[str]:  # noqa: ANN401 - options of several types
    return [str(one) for one in deadline_rules.check(facts, replace(Options(), **changes))]


def warnings(facts: Facts, **changes: Any) -> list[str]:  # noqa: ANN401 - options of several types
    return [str(one) for one in deadline_rules.warnings(facts, replace(Options(), **changes))]


def test_defaults_agree() -> None:
    """Those of the role, with VMs that are restored at once."""
    options = {"wait_s": float(DEFAULTS["live_update_timeout_s"]), "restore_at_once": 2}
    assert (refusals(of(2, 8), **options), warnings(of(2, 8), **options)) == ([], [])


@pytest.mark.parametrize("name", ["unplug_s", "shutdown_s", "copy_s", "migrate_s", "start_s", "answer_s", "drivers_s"])
def test_a_wait_that_is_shorter_than_one_vms_deadlines(name: str) -> None:
    (found,) = refusals(of(1, 1), wait_s=3600.0, **{name: 5000.0})
    assert re.search(rf"{name}[^,]* \d+", found)
    assert "the controller waits 3600 s" in found
    need = re.search(r"raise live_update_timeout_s to (\d+)", found)
    assert need is not None
    assert refusals(of(1, 1), wait_s=float(need[1]) + 1, **{name: 5000.0}) == []


def test_it_refuses_the_host() -> None:
    verdict = preflight.judge(of(1, 1), BACKENDS, Options(wait_s=100.0), 600.0)
    assert [one.code for one in verdict.refusals] == ["deadlines"]


def test_a_wait_for_many_vms_is_a_warning() -> None:
    """Not all of them take as long as they may."""
    options = {"wait_s": 3600.0, "restore_at_once": 2}
    assert refusals(of(40, 1), **options) == []
    (found,) = warnings(of(40, 1), **options)
    assert "an update of 40 VMs, 2 at a time, may take" in found


def test_who_does_not_say_how_long_it_waits_is_not_refused() -> None:
    assert refusals(of(1, 1), copy_s=9000.0) == []


@pytest.mark.parametrize(
    ("facts", "options", "wanted"),
    [
        (
            of(4, 64),
            {"copy_s": 500.0, "restore_at_once": 1},
            "copying 262144 MiB of 4 VMs at the same time takes 524 s",
        ),
        (of(4, 64, live=False), {"migrate_s": 500.0, "restore_at_once": 1}, "saving 262144 MiB of 4 VMs"),
        (of(4, 64), {"migrate_s": 500.0, "restore_at_once": 4}, "reading 262144 MiB of 4 VMs"),
        (of(1, 512), {"copy_s": 9000.0}, "reading 524288 MiB of 1 VMs"),
    ],
)
def test_memory_that_takes_longer_than_its_deadline(facts: Facts, options: dict[str, Any], wanted: str) -> None:
    """A restore that is ended by its deadline fails in the outage."""
    found = [one for one in refusals(facts, rate_mib_s=500.0, **options) if wanted in one]
    assert len(found) == 1
    assert re.search(r"at 500 MiB/s, and (copy_s|migrate_s) is \d+ s: raise \1 in live_update_options to \d+", found[0])


def test_what_is_raised_as_said_is_enough() -> None:
    assert refusals(of(4, 64), rate_mib_s=500.0, restore_at_once=4, copy_s=1049.0, migrate_s=1049.0) == []


def test_a_rate_that_nobody_measured_refuses_nothing() -> None:
    facts = of(8, 64)
    assert refusals(facts, restore_at_once=8) == []
    assert all("measure the disk (playbook rehearse), or raise" in one for one in warnings(facts, restore_at_once=8))
    assert len(warnings(facts, restore_at_once=8)) == 2


def test_a_hold_that_is_shorter_than_the_deadlines() -> None:
    """Refused for one VM, warned of for all; nothing without a hold."""
    (found,) = refusals(of(1, 1), hold_s=1000.0)
    assert "the hold of its HA manager lasts 1000 s" in found
    need = re.search(r"raise live_update_hold_s above (\d+)", found)
    assert need is not None
    assert refusals(of(1, 1), hold_s=float(need[1]) + 1) == []
    assert warnings(of(9, 1), hold_s=3600.0, restore_at_once=2)[0].count("an update of 9 VMs") == 1
    assert warnings(of(2, 1), hold_s=3600.0, restore_at_once=2) == []
