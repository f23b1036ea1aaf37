# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Presence of VFs: the reachable ids, and the disruption of reaching them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .._document.document import PfSpec
from .._model.errors import ALLOW_DISRUPTIVE
from .._model.kernel_interface import INTERFACES
from .._model.state import PfState
from .._model.vf_ids import compress, describe

_DISABLES_ALL = "requires disabling all VFs first"


class Presence(NamedTuple):
    """The ``ids`` to be present, nearest to the ``desired`` ones.

    ``disables_all``: the change requires disabling all VFs first; ``disrupted``: the VFs that somebody may count on and
    that this takes away, for a moment or for good. VFs that are declared absent and stay absent are not among them.
    """

    desired: frozenset[int]
    ids: frozenset[int]
    disables_all: bool
    disrupted: frozenset[int]


def presence_of(current: PfState, spec: PfSpec, enabled: int) -> Presence:
    """The presence resulting from a resolved spec with ``enabled`` VFs."""
    desired = _desired(current, spec, enabled) & frozenset(range(enabled))
    ids, disables_all = _reachable(current, desired, enabled, spec)
    return Presence(desired, ids, disables_all, _lost(current, spec, ids) if disables_all else frozenset())


def asked(spec: PfSpec) -> bool:
    """Whether the spec says anything about presence."""
    return any(ids is not None for ids in (spec.present_vfs, spec.add_vfs, spec.remove_vfs))


def refusal(current: PfState, spec: PfSpec, enabled: int, presence: Presence) -> str:
    """The refusal to disable all VFs first without ``allow_disruptive``."""
    if enabled and _eswitch_needs_none(current, spec):
        modes = f"from {current.settings.eswitch_mode} to {spec.settings.eswitch_mode}"
        what = f"{current.driver} changes eswitch_mode {modes} only while no VFs are enabled; that {_DISABLES_ALL}"
        fix = "declare present_vfs: none as well, or " if current.abilities.enable_only else ""
    elif enabled != current.enabled:
        what = f"changing hardware_vfs from {current.enabled} to {enabled} {_DISABLES_ALL}"
        fix = f"declare {'present_vfs: none as well' if enabled == 0 else f'hardware_vfs: {current.enabled}'}, or "
    else:
        missing = compress(presence.desired - current.present)
        what, fix = f"the kernel's interface '{current.interface}' cannot add VFs {missing} to those present", ""
        what += f"; that {_DISABLES_ALL}"
    return (
        f"PF {current.address}: {what} and takes the present VFs {describe(presence.disrupted)} away; {fix}allow it "
        f"with {ALLOW_DISRUPTIVE}"
    )


def notes(current: PfState, spec: PfSpec, enabled: int, presence: Presence) -> Iterator[str]:
    """Notes on surplus VFs, disrupted VFs and gaps between ids."""
    ids, extra = presence.ids, presence.ids - presence.desired
    if asked(spec) and extra:
        if current.needs_all_vfs:
            yield f"PF {current.address}: its driver {current.driver} has not declared that it can live with absent VFs"
        yield (
            f"PF {current.address}: the kernel's interface '{current.interface}' cannot leave VFs {compress(extra)} "
            f"out: present are {describe(ids)} instead of {describe(presence.desired)}"
            f"{_hint(current, spec, enabled, presence)}"
        )
    if presence.disrupted:
        back = presence.disrupted & ids
        after = f"; VFs {compress(back)} come back as new devices" if back else ""
        lost = compress(presence.disrupted)
        yield f"PF {current.address}: disabling all VFs first takes the present VFs {lost} away{after}"
    gaps = frozenset(range(max(ids, default=-1) + 1)) - ids
    if asked(spec) and gaps:
        yield (
            f"PF {current.address}: VFs {compress(gaps)} are absent below present ones: libvirt, netplan and the "
            "Kubernetes device plugin look at VFs only up to the first gap"
        )


def all_new(current: PfState, spec: PfSpec, enabled: int) -> bool:
    """Whether all VFs are to be present, as their number changes.

    That is where nobody says which are. Stock kernels can do nothing else, and a document means the same on each kernel
    interface.
    """
    return not (asked(spec) or spec.unmanaged) and enabled != current.enabled


def _desired(current: PfState, spec: PfSpec, enabled: int) -> frozenset[int]:
    if all_new(current, spec, enabled):
        return frozenset(range(enabled))
    exact = current.present if spec.present_vfs is None else _set(spec.present_vfs)
    return (exact | _set(spec.add_vfs)) - _set(spec.remove_vfs)


def _lost(current: PfState, spec: PfSpec, ids: frozenset[int]) -> frozenset[int]:
    """Present VFs disrupted by disabling all VFs first.

    All but those that the spec declares absent and that do not come back among ``ids``.
    """
    gone = current.present - _desired(current, spec, current.enabled) if asked(spec) else frozenset()
    return current.present - (gone - ids)


def _reachable(current: PfState, desired: frozenset[int], enabled: int, spec: PfSpec) -> tuple[frozenset[int], bool]:
    """The reachable ids, and whether they require disabling all VFs first.

    The ids are those nearest to the desired ones, never fewer. Surplus VFs are a reason to disable all only where the
    spec allows it and fewer are surplus then.
    """
    fresh = INTERFACES[current.interface].present_after_enabling(desired, enabled)
    stay = INTERFACES[current.interface].present_after_adding(current.present, desired)
    if stay is None or enabled != current.enabled or _eswitch_needs_none(current, spec):
        return fresh, current.enabled > 0
    return (fresh, True) if spec.allow_disruptive and len(fresh) < len(stay) else (stay, False)


def _eswitch_needs_none(current: PfState, spec: PfSpec) -> bool:
    """Whether the desired change of eswitch_mode requires that no VFs are enabled."""
    if spec.settings.eswitch_mode is None:
        return False
    from .._model import drivers, eswitch

    change = eswitch.change_of(current.driver, current.settings, spec.settings)
    return change is not None and change.vfs == drivers.DISABLED


def _hint(current: PfState, spec: PfSpec, enabled: int, presence: Presence) -> str:
    """A hint at ``allow_disruptive`` where disabling all leaves fewer surplus VFs."""
    fresh = INTERFACES[current.interface].present_after_enabling(presence.desired, enabled)
    if presence.disables_all or len(presence.ids) <= len(fresh):
        return ""
    lost = describe(_lost(current, spec, fresh))
    return f"; {ALLOW_DISRUPTIVE} would, by disabling all VFs first, which takes the present VFs {lost} away"


def _set(ids: frozenset[int] | str | None) -> frozenset[int]:
    """A resolved set of ids, empty for none."""
    return frozenset(map(int, ids or ()))
