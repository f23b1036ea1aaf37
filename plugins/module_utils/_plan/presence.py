# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which VFs will be present: the wish, as near as the kernel's interface comes to it, and what the way there costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .._document.document import PfSpec
from .._model.state import PfState
from .._model.vf_ids import compress, describe


class Presence(NamedTuple):
    """``present`` will be the ids ``ids``, nearest to the ``wished`` ones.

    ``cycle``: the number enabled goes through 0 on the way; ``kills``: the VFs that somebody may count on and that go
    away by that, for a moment or for good. Those that are declared away and stay away are not among them.
    """

    wished: frozenset[int]
    ids: frozenset[int]
    cycle: bool
    kills: frozenset[int]


def presence_of(found: PfState, spec: PfSpec, enabled: int) -> Presence:
    """The presence that a resolved wish leads to with ``enabled`` VFs in hardware."""
    wished = _wished(found, spec) & frozenset(range(enabled))
    ids, cycle = _reachable(found, wished, enabled, spec)
    return Presence(wished, ids, cycle, _lost(found, spec, ids) if cycle else frozenset())


def asked(spec: PfSpec) -> bool:
    """Whether the wish says anything about presence."""
    return any(ids is not None for ids in (spec.present_vfs, spec.add_vfs, spec.remove_vfs))


def refusal(found: PfState, spec: PfSpec, enabled: int, presence: Presence) -> str:
    """Why a way through 0 that was not allowed is refused."""
    if enabled and _eswitch_needs_none(found, spec):
        modes = f"from {found.settings.eswitch_mode} to {spec.settings.eswitch_mode}"
        what = f"{found.driver} changes eswitch_mode {modes} only while no VFs are enabled; that goes through 0"
        fix = "declare present_vfs: none as well, or " if found.abilities.choose else ""
    elif enabled != found.enabled:
        what = f"changing hardware_vfs from {found.enabled} to {enabled} goes through 0"
        fix = f"declare {'present_vfs: none as well' if enabled == 0 else f'hardware_vfs: {found.enabled}'}, or "
    else:
        missing = compress(presence.wished - found.present)
        what, fix = f"the kernel's interface '{found.interface}' adds VFs {missing} only by going through 0", ""
    return (
        f"PF {found.address}: {what} and takes the present VFs {describe(presence.kills)} away; {fix}allow it with "
        "allow_disruptive: true"
    )


def notes(found: PfState, spec: PfSpec, presence: Presence) -> Iterator[str]:
    """What the interface does otherwise than it was wished, what the way costs, and what others may stumble over."""
    ids, extra = presence.ids, presence.ids - presence.wished
    if asked(spec) and extra:
        if found.every_vf:
            yield f"PF {found.address}: its driver {found.driver} has not declared that it can live with absent VFs"
        yield (
            f"PF {found.address}: the kernel's interface '{found.interface}' cannot leave VFs {compress(extra)} out: "
            f"present are {describe(ids)} instead of {describe(presence.wished)}{_other_way(found, spec, presence)}"
        )
    if presence.kills:
        back = presence.kills & ids
        after = f"; VFs {compress(back)} come back as new devices" if back else ""
        yield f"PF {found.address}: going through 0 takes the present VFs {compress(presence.kills)} away{after}"
    gaps = frozenset(range(max(ids, default=-1) + 1)) - ids
    if asked(spec) and gaps:
        yield (
            f"PF {found.address}: VFs {compress(gaps)} are absent below present ones: libvirt, netplan and the "
            "Kubernetes device plugin look at VFs only up to the first gap"
        )


def _wished(found: PfState, spec: PfSpec) -> frozenset[int]:
    exact = found.present if spec.present_vfs is None else _set(spec.present_vfs)
    return (exact | _set(spec.add_vfs)) - _set(spec.remove_vfs)


def _lost(found: PfState, spec: PfSpec, ids: frozenset[int]) -> frozenset[int]:
    """The present VFs less those that the wish takes away and that do not come back among ``ids``."""
    gone = found.present - _wished(found, spec) if asked(spec) else frozenset()
    return found.present - (gone - ids)


def _reachable(found: PfState, wished: frozenset[int], enabled: int, spec: PfSpec) -> tuple[frozenset[int], bool]:
    """The ids that come nearest to the wish, never fewer, and whether the number enabled goes through 0 for it.

    VFs that are too many are a reason for that only when it is allowed, and when fewer are too many then.
    """
    renumber, can = enabled != found.enabled or _eswitch_needs_none(found, spec), found.abilities
    if not can.choose:
        if renumber or not wished <= found.present:
            return frozenset(range(enabled)), found.enabled > 0
        return found.present, False
    fresh = _fresh(found, wished, enabled)
    if renumber:
        return fresh, found.enabled > 0
    stay = wished | (frozenset() if can.remove else found.present)
    return (fresh, True) if spec.allow_disruptive and len(fresh) < len(stay) else (stay, False)


def _eswitch_needs_none(found: PfState, spec: PfSpec) -> bool:
    """Whether the PF's driver changes the mode of its eswitch only while no VFs are enabled."""
    if spec.settings.eswitch_mode is None:
        return False
    from .._model import eswitch

    change = eswitch.change_of(found.driver, found.settings, spec.settings)
    return change is not None and change.vfs == eswitch.DISABLED


def _fresh(found: PfState, wished: frozenset[int], enabled: int) -> frozenset[int]:
    """What enabling and adding chosen VFs leads to."""
    return wished | frozenset({0} if found.abilities.first_always and enabled else ())


def _other_way(found: PfState, spec: PfSpec, presence: Presence) -> str:
    """Going through 0 would leave more of them out, but nobody has allowed it."""
    fresh = _fresh(found, presence.wished, found.enabled)
    if presence.cycle or not found.abilities.choose or len(presence.ids) <= len(fresh):
        return ""
    lost = describe(_lost(found, spec, fresh))
    return f"; allow_disruptive: true would, by going through 0, which takes the present VFs {lost} away"


def _set(ids: frozenset[int] | str | None) -> frozenset[int]:
    """A resolved set of ids, empty for none."""
    return frozenset(map(int, ids or ()))
