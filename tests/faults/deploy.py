# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments of kernels whose power is cut at each step.

After each cut the host boots by the real GRUB: into the old kernel, into the new one where its guard knows of the
trial, or into the new one that was seen to boot. Nobody confirms anything then, and the default is the old kernel, or a
proven one. A deployment from its begin ends well.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from tests.fake.boot.grub import NEW, OLD

from .deploy_host import INSTALLED, DeployHost

GUARDED = ("armed", "booted", "healthy")


@dataclass(frozen=True)
class Deployment:
    """Power cuts at each step of ``act``.

    ``before``: what has been done until then. Both are methods of `DeployHost`.
    """

    name: str
    what: str
    before: tuple[str, ...]
    act: str


def walk(case: Deployment, folder: Path) -> int:
    """Drive a case; the number of its cuts.

    Raises AssertionError with the step whose end is not as it should be.
    """
    host = DeployHost(folder)
    for name in case.before:
        getattr(host, name)()
    host.keep()
    act = getattr(host, case.act)
    act()  # once, and kept in memory: what grub-mkconfig writes
    host.restore()
    seen: set[str] = set()
    step = 0
    while host.power.cut(step, act):
        if (state := host.state()) not in seen:  # the same files lead to the same end
            _follow(host, f"{case.act}, power cut at step {step}")
        seen.add(state)
        host.restore()
        step += 1
    assert step, "its fault did not happen"
    return step


def _follow(host: DeployHost, where: str) -> None:
    try:
        come_up(host)
        finish(host)
    except (AssertionError, SriovError, subprocess.TimeoutExpired) as error:
        raise AssertionError(f"{where}: {error}") from error


def come_up(host: DeployHost) -> None:
    """Boot three times, with the guard, and nobody who confirms."""
    for boot in range(3):
        release = host.power_on()
        guarded = boot == 0 and host.phase() in GUARDED
        assert release == OLD or guarded or host.is_proven(), (
            f"boot {boot + 1} started {release}, phase '{host.phase()}'"
        )
        host.watch()
    default = host.answer().default.release
    assert default == OLD or (default == NEW and host.is_proven()), f"{default} is the default"


def finish(host: DeployHost) -> None:
    """Deploy from the begin, as a second run of the role does."""
    host.keep_default()
    if not (host.root.folder / INSTALLED).exists():
        host.install()
    if host.answer().default.release != NEW:
        for act in (host.arm, host.boot, host.judge, host.confirm):
            act()
    assert host.phase() == "confirmed", f"the second run ended in phase '{host.phase()}'"
    assert [host.power_on(), host.power_on()] == [NEW, NEW]
