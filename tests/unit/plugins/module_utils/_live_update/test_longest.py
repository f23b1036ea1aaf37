# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deadlines that follow one another, against the controller's wait."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.estimate import of_vms
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.longest import longest_s, parts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options

from .test_preflight import GOOD, LIVE

DEFAULTS = yaml.safe_load(Path("roles/live_update/defaults/main.yml").read_text(encoding="utf-8"))


def test_the_controller_waits_as_long_as_hosts_may_take() -> None:
    options = Options()
    assert longest_s(options, options.restore_at_once) <= DEFAULTS["live_update_timeout_s"]


@pytest.mark.parametrize("name", ["unplug_s", "shutdown_s", "copy_s", "migrate_s", "start_s", "answer_s", "drivers_s"])
def test_every_deadline_counts(name: str) -> None:
    options = Options()
    longer = replace(options, **{name: getattr(options, name) + 1000.0})
    assert longest_s(longer, 1) >= longest_s(options, 1) + 1000


def test_a_guest_that_writes_nothing_stands_still_while_others_are_copied() -> None:
    small, large = replace(LIVE[0], name="s", memory_bytes=1 << 30), replace(LIVE[1], name="t", memory_bytes=4 << 30)
    facts = replace(GOOD, pfs={}, vms=(small, large))
    found = {one.name: one for one in of_vms(facts, Options(rate_mib_s=1024.0), {})}
    assert found["s"].idle_pause_s - found["s"].pause_s == pytest.approx(3.0)
    assert found["t"].idle_pause_s == found["t"].pause_s


def test_restores_one_after_the_other_count_each() -> None:
    options = replace(Options(), restore_at_once=2)
    key = "start_s and migrate_s (restore)"
    assert [parts(options, vms)[key] / parts(options, 1)[key] for vms in (0, 2, 3, 8)] == [0, 1, 2, 4]
