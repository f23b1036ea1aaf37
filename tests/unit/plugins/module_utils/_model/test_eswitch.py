# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of drivers for their eswitch, and for its changes."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import drivers, eswitch
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import NAMES
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.settings import PfSettings

LEGACY, SWITCHDEV = PfSettings("legacy"), PfSettings("switchdev")

# driver, what VFs must be, whether to switchdev comes after enabling
RULES = [
    ("mlx5_core", drivers.UNBOUND, True),
    ("ice", drivers.DISABLED, False),
    ("bnxt_en", drivers.ANY, False),
    ("some_new_driver", drivers.DISABLED, False),
    (None, drivers.DISABLED, False),
]


@pytest.mark.parametrize(("driver", "vfs", "late"), RULES)
def test_change(driver: str | None, vfs: str, late: bool) -> None:
    rule = eswitch.change_of(driver, LEGACY, SWITCHDEV)
    assert rule is not None
    assert (rule.vfs, eswitch.is_late(rule, SWITCHDEV), eswitch.is_late(rule, LEGACY)) == (vfs, late, False)


@pytest.mark.parametrize("wanted", [LEGACY, PfSettings(), PfSettings(mtu=9000)])
def test_no_change(wanted: PfSettings) -> None:
    assert eswitch.change_of("mlx5_core", LEGACY, wanted) is None


def test_every_rule_names_its_source_and_known_properties() -> None:
    for facts in drivers.DRIVERS.values():
        rule, others = facts.eswitch, facts._replace(eswitch=drivers.UNKNOWN.eswitch)
        assert rule == drivers.UNKNOWN.eswitch or ".c, " in rule.source
        assert rule.not_in_switchdev <= set(NAMES)
        assert bool(others.source) is (others != drivers.UNKNOWN)


def test_what_drivers_of_kept_vfs_are() -> None:
    adopters = {name for name, facts in drivers.DRIVERS.items() if facts.adopts_kept_vfs}
    assert adopters == {"nvme", "ena", "pci-pf-stub", "igb"}


def test_what_nobody_gave() -> None:
    assert "link_state" in eswitch.kept_by_nobody("mlx5_core", "switchdev")
    assert eswitch.kept_by_nobody("mlx5_core", "legacy") == frozenset()
    assert eswitch.kept_by_nobody("mlx5_core", None) == frozenset()
    assert eswitch.kept_by_nobody("igb", "switchdev") == frozenset()
