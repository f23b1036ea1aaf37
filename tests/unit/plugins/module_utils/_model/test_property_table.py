# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each property is in fakes, transitions and reference."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import drivers
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.property_table import VF_PROPERTIES
from tests.fake.linux.pf import DEFAULTS
from tests.fake.scenarios import transitions

ROOT = Path(__file__).parents[5]
NAMES = [row.name for row in VF_PROPERTIES]


def reference() -> str:
    return (ROOT / "docs/declaring_vfs.md").read_text()


def test_the_fake_has_each() -> None:
    assert set(NAMES) <= set(DEFAULTS)


def test_each_is_changed_by_a_transition() -> None:
    changed = {**transitions.ETHERNET, **transitions.GUIDS}
    assert set(NAMES) - set(changed) == set()


def test_the_reference_says_where_each_is_read_and_written() -> None:
    rows = reference().split("Where they are read and written", 1)[1].split("\n\n")[1].splitlines()
    cells = " ".join(row.split("|")[1] for row in rows)
    assert [name for name in NAMES if f"`{name}`" not in cells] == []


def test_the_reference_has_each_driver_with_an_eswitch_order() -> None:
    section = reference().split("## The eswitch", 1)[1].split("\n## ", 1)[0]
    ruled = [name for name, facts in drivers.DRIVERS.items() if facts.eswitch != drivers.facts_of(None).eswitch]
    assert ruled
    assert [name for name in ruled if name not in section] == []
