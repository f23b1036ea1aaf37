# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a PF's eswitch mode: its driver's rule and the order."""

from __future__ import annotations

from . import drivers
from .drivers import EswitchRule
from .settings import SWITCHDEV, PfSettings


def rule_of(driver: str | None) -> EswitchRule:
    return drivers.facts_of(driver).eswitch


def change_of(driver: str | None, current: PfSettings, wanted: PfSettings) -> EswitchRule | None:
    """The rule to follow where the mode changes, None where it stays."""
    changes = wanted.eswitch_mode is not None and wanted.eswitch_mode != current.eswitch_mode
    return rule_of(driver) if changes else None


def kept_by_nobody(driver: str | None, mode: str | None) -> frozenset[str]:
    """Properties of VFs that no one can set in this mode.

    A reading shows them all the same, and nothing can restore them.
    """
    return rule_of(driver).not_in_switchdev if mode == SWITCHDEV else frozenset()


def is_late(rule: EswitchRule, wanted: PfSettings) -> bool:
    """Whether the mode changes after VFs are enabled and have properties."""
    return rule.switchdev_after_enabling and wanted.eswitch_mode == SWITCHDEV
