# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the faults: each injects something; what they cover."""

from __future__ import annotations

import pytest

from tests.faults import cases_after, cases_before, cases_deploy, cases_held, cases_moved, cases_saving, edges, run
from tests.faults.deploy import Deployment
from tests.faults.deploy_host import DeployHost
from tests.faults.fault import COLD, ENDED, GIVEN_UP, KEPT, MEMORY, OTHERS, STANDS, VMS, Fault

EVERY = [*cases_before.CASES, *cases_saving.CASES, *cases_after.CASES, *cases_held.CASES, *cases_moved.CASES]


@pytest.mark.parametrize("fault", EVERY, ids=lambda one: str(one.name))
def test_a_row_injects_something_and_says_how_every_vm_ends(fault: Fault) -> None:
    injected = fault.strikes or fault.before or fault.lands or fault.delays
    assert injected or any("strategy" in chosen for chosen in fault.vms.values())
    assert set(fault.ends) == set(VMS)
    assert set(fault.ends.values()) <= {MEMORY, COLD, ENDED, KEPT, GIVEN_UP, OTHERS, STANDS}
    pauses = [one for one in fault.strikes if one.do == edges.PAUSE]
    assert bool(pauses) == (fault.meanwhile is not None)


def test_at_least_forty_faults_of_every_kind_at_every_phase() -> None:
    assert len(EVERY) == len(run.CASES) >= 40
    struck = {(one.step, one.do) for fault in EVERY for one in fault.strikes}
    for step in ("arm", "run", "resume"):
        assert {(step, edges.KILL), (step, edges.CUT), (step, edges.ERROR), (step, edges.LIE)} <= struck, step
    assert {("recover", edges.KILL), ("come-back", edges.KILL)} <= struck


def test_the_sample_is_of_every_phase() -> None:
    for cases in (
        cases_before.UNPLUGGING,
        cases_saving.SAVING,
        cases_saving.JUMP,
        cases_saving.DISKS,
        cases_after.RESUME,
        cases_deploy.CASES,
    ):
        assert {one.name for one in cases} & set(run.SAMPLE)


@pytest.mark.parametrize("case", cases_deploy.CASES, ids=lambda one: str(one.name))
def test_a_deployment_is_made_of_acts_of_its_host(case: Deployment) -> None:
    assert all(callable(getattr(DeployHost, name)) for name in (*case.before, case.act))


def test_the_power_is_cut_in_every_act_of_a_deployment() -> None:
    acts = {one.act for one in cases_deploy.CASES}
    assert {"keep_default", "install", "arm", "judge", "watch", "withdraw", "confirm"} == acts
