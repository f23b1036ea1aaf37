# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolution of a host document against the PFs of a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._model.errors import BadInputError
from .._model.state import PfState
from .document import AtMost, HostDocument, PfSpec
from .id_sets import UNMANAGED, resolve_ids

if TYPE_CHECKING:
    from .selector import PfName


def resolve(
    document: HostDocument, states: Mapping[str, PfState], altnames: Mapping[str, str] | None = None
) -> HostDocument:
    """The document with PCI addresses, numbers and id sets.

    They replace names, selectors, ``max`` and ``all``. ``altnames`` gives the interface name behind alternative names.
    Raises `BadInputError` with all mistakes: an unknown PF, one declared twice, more VFs than it has, ids that are not
    enabled, and network properties for a PF without network interface.
    """
    resolved: list[PfSpec] = []
    seen: dict[str, PfName] = {}
    mistakes: list[str] = []
    for spec in document.pfs:
        try:
            for state in _meant(spec.pf, states, altnames or {}):
                address = state.address
                if address in seen:
                    raise BadInputError(
                        f"PF {address} is declared twice, as '{seen[address]}' and '{spec.pf}'; keep one of them"
                    )
                seen[address] = spec.pf
                resolved.append(_resolve_pf(spec, state))
        except BadInputError as error:
            mistakes += error.mistakes
    if mistakes:
        raise BadInputError(*mistakes)
    return HostDocument(tuple(resolved))


def _meant(name: PfName, states: Mapping[str, PfState], altnames: Mapping[str, str]) -> list[PfState]:
    """The PFs that ``name`` designates; an address needs no `lookup`."""
    if isinstance(name, str) and name in states:
        return [states[name]]
    from . import lookup

    return lookup.find(name, states, altnames)


def _of_interface(spec: PfSpec) -> set[str]:
    """Declared settings of the PF's network interface."""
    return {name for name in ("mtu", "link") if getattr(spec.settings, name) is not None}


def _number(spec: PfSpec, state: PfState) -> int:
    """How many VFs are to be enabled."""
    if spec.hardware_vfs is None:
        return state.enabled
    if isinstance(spec.hardware_vfs, AtMost):
        return min(spec.hardware_vfs.at_most, state.total)
    return state.total if spec.hardware_vfs == "max" else int(spec.hardware_vfs)


def _is_bound(spec: PfSpec) -> bool:
    """Whether some VFs are asked for, as many as there are."""
    return isinstance(spec.hardware_vfs, AtMost) and spec.hardware_vfs.at_most > 0


def _resolve_pf(spec: PfSpec, state: PfState) -> PfSpec:
    name = spec.pf if isinstance(spec.pf, str) else state.address
    if state.unfinished and spec.hardware_vfs is None and state.enabled == 0:
        spec = spec._replace(hardware_vfs=state.unfinished.enabled)
    number = _number(spec, state)
    if number > state.total:
        raise BadInputError(f"PF {name}: hardware_vfs {number} is out of range: it has at most {state.total} VFs")
    unmanaged = spec.unmanaged or spec.present_vfs == UNMANAGED
    present, added, removed = None if unmanaged else spec.present_vfs, spec.add_vfs, spec.remove_vfs
    added = None if added is None else resolve_ids(added, number, f"PF {name}: ids")
    vfs = tuple(vf.resolved(number, f"PF {name}: vfs[{index}]") for index, vf in enumerate(spec.vfs))
    needs_netdev = {key for vf in vfs for key in vf.properties.to_dict()} | _of_interface(spec)
    if state.netdev is None and needs_netdev:
        named = ", ".join(sorted(needs_netdev))
        raise BadInputError(f"PF {name}: {named} cannot be set: it has no network interface; leave them out")
    if needs_netdev and name in state.netdevs[1:]:
        named = ", ".join(sorted(needs_netdev))
        raise BadInputError(f"PF {name}: {named} would be set through its interface {state.netdev}: name that one")
    resolved = spec._replace(
        pf=state.address,
        hardware_vfs=None if spec.hardware_vfs is None else number,
        asked_max=spec.asked_max or spec.hardware_vfs == "max" or _is_bound(spec),
        unmanaged=unmanaged,
        present_vfs=None if present is None else resolve_ids(present, number, f"PF {name}: present_vfs"),
        vfs=vfs,
        add_vfs=added,
        remove_vfs=None if removed is None else resolve_ids(removed, state.total, f"PF {name}: ids"),
    )
    if not state.unfinished:
        return resolved
    from . import unfinished

    return unfinished.with_unfinished(resolved, state, frozenset(range(number)))
