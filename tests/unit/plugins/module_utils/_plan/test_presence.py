# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs that will be present, and their cost.

A table for the interfaces, and every small case by an oracle.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations, product

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import PfSpec
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.kernel_interface import INTERFACES
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.vf_ids import parse
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.presence import Presence, presence_of

Ids = frozenset[int]
PF = "0000:03:00.0"
A, B, C = "vf-id", "vf-id-narrow", "stock"


def ids(text: str | None) -> Ids:
    return parse("none" if text is None else text, 7)


def presence(interface: str, enabled: int, present: Ids, number: int, spec: PfSpec) -> Presence:
    return presence_of(PfState(PF, 7, enabled, present, interface=interface), spec, number)


# interface; enabled and present now; number declared; =exact, +added, -removed ids, or none; with
# allow_disruptive?; present then, VFs disrupted by disabling all first (None: not needed)
TABLE: list[tuple[str, int, str, int, str, bool, str, str | None]] = [
    # none declared: as now, and all where their number changes
    (A, 4, "0,2", 4, "", True, "0,2", None),
    (B, 4, "0,2", 4, "", True, "0,2", None),
    (C, 4, "0-3", 4, "", True, "0-3", None),
    (C, 4, "0,2", 4, "", True, "0,2", None),
    # from nothing
    (A, 0, "none", 4, "", False, "0-3", None),
    (B, 0, "none", 4, "", False, "0-3", None),
    (C, 0, "none", 4, "", False, "0-3", None),
    (A, 0, "none", 4, "=1,3", False, "1,3", None),
    (B, 0, "none", 4, "=1,3", False, "0-1,3", None),
    (C, 0, "none", 4, "=1,3", False, "0-3", None),
    # grow
    (A, 4, "1", 4, "=1,3", True, "1,3", None),
    (B, 4, "0-1", 4, "=0-1,3", True, "0-1,3", None),
    (A, 4, "1", 4, "+3", True, "1,3", None),
    (B, 4, "0-1", 4, "+3", True, "0-1,3", None),
    (C, 4, "0-3", 4, "+3", True, "0-3", None),
    (C, 4, "0-1", 4, "+0", True, "0-1", None),
    (C, 4, "0-1", 4, "+3", False, "0-3", "0-1"),
    (C, 4, "0-1", 4, "=1,3", True, "0-3", "0-1"),
    # shrink
    (A, 4, "0-3", 4, "=1", True, "1", None),
    (A, 4, "0-3", 4, "-1", True, "0,2-3", None),
    (A, 4, "0-1", 4, "-2-6", True, "0-1", None),
    (B, 4, "0-3", 4, "=1", False, "0-3", None),
    (B, 4, "0-3", 4, "=1", True, "0-1", "0-1"),
    (B, 4, "0-3", 4, "-1", False, "0-3", None),
    (B, 4, "0-3", 4, "-1", True, "0,2-3", "0,2-3"),
    (B, 4, "0-3", 4, "-0", True, "0-3", None),
    (B, 4, "0-3", 4, "=none", True, "0", "0"),
    (C, 4, "0-3", 4, "=1", True, "0-3", None),
    (C, 4, "0-3", 4, "-1", True, "0-3", None),
    # shrink and grow
    (A, 4, "0-1", 4, "=1-2", True, "1-2", None),
    (B, 4, "0-1", 4, "=1-2", False, "0-2", None),
    (B, 4, "0-2", 4, "=3", False, "0-3", None),
    (B, 4, "0-2", 4, "=3", True, "0,3", "0"),
    # another number
    (A, 4, "1", 6, "", False, "0-5", "1"),
    (A, 4, "1,3", 2, "", False, "0-1", "1,3"),
    (A, 4, "1,3", 2, "=1", False, "1", "1"),
    (A, 4, "1,3", 6, "=none", False, "none", ""),
    (A, 4, "1,3", 6, "=5", False, "5", ""),
    (A, 4, "none", 6, "=5", False, "5", ""),
    (B, 4, "0-1", 6, "", False, "0-5", "0-1"),
    (B, 4, "0-1", 6, "=none", False, "0", "0"),
    (C, 4, "0-3", 6, "", False, "0-5", "0-3"),
    (C, 4, "0-3", 6, "=none", False, "0-5", "0-3"),
    (C, 4, "0-3", 2, "=none", False, "0-1", "0-1"),
    # to nothing
    (A, 4, "1,3", 0, "", False, "none", "1,3"),
    (A, 4, "1,3", 0, "=none", False, "none", ""),
    (B, 4, "0-1", 0, "=none", False, "none", ""),
    (C, 4, "0-3", 0, "=none", False, "none", ""),
    (C, 0, "none", 0, "=none", False, "none", None),
    (A, 0, "none", 0, "-3", False, "none", None),
]


@pytest.mark.parametrize(("interface", "enabled", "present", "number", "change", "allow", "then", "disrupted"), TABLE)
def test_table(
    interface: str, enabled: int, present: str, number: int, change: str, allow: bool, then: str, disrupted: str | None
) -> None:
    exact, added, removed = (ids(change[1:]) if change[:1] == sign else None for sign in "=+-")
    spec = PfSpec(PF, present_vfs=exact, add_vfs=added, remove_vfs=removed, allow_disruptive=allow)
    found = presence(interface, enabled, ids(present), number, spec)
    assert (found.ids, found.disables_all) == (ids(then), disrupted is not None)
    assert found.disrupted == ids(disrupted or None)


TOTAL = 3
State = tuple[int, Ids]


def subsets(of: Ids) -> list[Ids]:
    return [frozenset(some) for some in chain.from_iterable(combinations(sorted(of), n) for n in range(len(of) + 1))]


def moves(interface: str, state: State) -> Iterator[State]:
    """States after one write, without disabling all VFs.

    This is the oracle, in words of the kernel's files.
    """
    enabled, present = state
    everything = frozenset(range(enabled))
    if enabled == 0:
        for number in range(1, TOTAL + 1):
            first = {A: frozenset[int](), B: frozenset({0}), C: frozenset(range(number))}[interface]
            yield number, first
    if interface != C:
        yield from ((enabled, present | {vf_id}) for vf_id in everything - present)
    if interface == A:
        yield from ((enabled, present - {vf_id}) for vf_id in present)


def reachable(interface: str, start: State) -> set[State]:
    """States that need no disabling of all VFs.

    Unless none are enabled already.
    """
    seen, new = {start}, {start}
    while new:
        new = {state for one in new for state in moves(interface, one)} - seen
        seen |= new
    return seen


def specs(number: int) -> list[PfSpec]:
    """Every specification of presence with ``number`` VFs enabled."""
    inside, all_ids = subsets(frozenset(range(number))), subsets(frozenset(range(TOTAL)))
    return [
        PfSpec(PF),
        PfSpec(PF, unmanaged=True),
        *(PfSpec(PF, present_vfs=some) for some in inside),
        *(PfSpec(PF, add_vfs=some) for some in inside),
        *(PfSpec(PF, remove_vfs=some) for some in all_ids),
    ]


CASES = [
    (interface, (enabled, present), number, spec)
    for interface in INTERFACES
    for enabled, number in product(range(TOTAL + 1), repeat=2)
    for present in subsets(frozenset(range(enabled)))
    for spec in specs(number)
]


def declared_ids(spec: PfSpec, enabled: int, present: Ids, number: int) -> Ids:
    """Desired ids, as the options are documented."""
    if spec == PfSpec(PF) and number != enabled:
        return frozenset(range(number))
    if spec.present_vfs is not None:
        return frozenset(map(int, spec.present_vfs))
    kept = present | frozenset(map(int, spec.add_vfs or ()))
    return (kept - frozenset(map(int, spec.remove_vfs or ()))) & frozenset(range(number))


def test_every_small_case() -> None:
    """No surplus that the kernel can avoid.

    All VFs are disabled first only when that is required.
    """
    assert len(CASES) > 2900
    for interface, (enabled, present), number, spec in CASES:
        want = declared_ids(spec, enabled, present, number)
        direct = [s for n, s in reachable(interface, (enabled, present)) if n == number and s >= want]
        after_disabling = [s for n, s in reachable(interface, (0, frozenset())) if n == number and s >= want]
        for allow in (False, True):
            got = presence(interface, enabled, present, number, spec._replace(allow_disruptive=allow))
            case = f"{interface} {enabled} {set(present)} -> {number} {spec} {allow}: {got}"
            least = min(map(len, direct if direct and not allow else direct + after_disabling))
            assert got.desired == want, case
            assert got.ids in (after_disabling if got.disables_all else direct), case
            assert len(got.ids) == least, case
            assert not got.disables_all or not direct or least < min(map(len, direct)), case


def test_disrupted_are_those_not_declared_away() -> None:
    for interface, (enabled, present), number, spec in CASES:
        got = presence(interface, enabled, present, number, spec)
        declared_away = frozenset[int]()
        if spec.present_vfs is not None:
            declared_away = present - frozenset(map(int, spec.present_vfs))
        elif spec.remove_vfs is not None:
            declared_away = present & frozenset(map(int, spec.remove_vfs))
        survives = frozenset[int]() if got.disables_all else present & got.ids
        assert got.disrupted == present - survives - (declared_away - got.ids), (
            f"{interface} {enabled} {set(present)} {number} {spec}"
        )
