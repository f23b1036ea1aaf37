# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Abilities of kernel interfaces, and their verbs: each says the same."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.kernel_interface import (
    CHOICE_FILES,
    INTERFACES,
    KernelInterface,
)

PF = "0000:03:00.0"
NONE, SOME = frozenset[int](), frozenset({1, 3})


@pytest.mark.parametrize("one", INTERFACES.values(), ids=INTERFACES)
def test_abilities_are_those_of_the_verbs(one: KernelInterface) -> None:
    can = one.abilities
    assert can.enable_only is (one.added_by_enabling(SOME) <= {0})
    assert can.choose is (one.present_after_adding(NONE, SOME) == SOME)
    assert can.lists is (len(one.batches(SOME)) == 1)
    assert can.first_always is (one.added_by_enabling(NONE) == {0})
    assert can.remove is (one.present_after_adding(SOME, NONE) == NONE)


@pytest.mark.parametrize("one", INTERFACES.values(), ids=INTERFACES)
def test_files_that_are_written_are_known(one: KernelInterface) -> None:
    """Errnos of other files have no meaning."""
    writes = [one.enable(PF, 4)]
    for batch in one.batches(SOME) if one.abilities.choose else ():
        writes += one.add(PF, batch)
        writes += [one.remove(PF, batch)] if one.abilities.remove else []
    assert {write.path.rpartition("/")[2] for write in writes} <= CHOICE_FILES | {one.enabled_file}
