# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup of a host's PFs by name or selector."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from .._model.errors import BadInputError
from .._model.state import FACTS, PfState
from .selector import PfName, Selector, values


def find(name: PfName, states: Mapping[str, PfState], altnames: Mapping[str, str]) -> list[PfState]:
    """The PFs that ``name`` designates, in the order of their addresses.

    One PF, unless ``name`` is a selector with ``all``. ``altnames`` gives the interface name behind alternative names.
    Raises `BadInputError` that lists the candidates where none matches, or more than the one that is asked for.
    """
    if isinstance(name, str):
        return [_named(name, states, altnames)]
    found = matching(name, states)
    if found and name.all:
        return found
    if len(found) == 1 if name.index is None else name.index < len(found):
        return [found[name.index or 0]]
    raise BadInputError(refusal(name, found, in_order(states)))


def matching(selector: Selector, states: Mapping[str, PfState]) -> list[PfState]:
    """All PFs with the selector's facts, in the order of their addresses."""
    return [pf for pf in in_order(states) if selector.matches(pf)]


def _named(name: str, states: Mapping[str, PfState], altnames: Mapping[str, str]) -> PfState:
    """The PF with this PCI address or interface name.

    The address may be in any case, with or without domain. Raises `BadInputError` where there is none.
    """
    lower = name.lower()
    netdev = altnames.get(name, name)
    for address, pf in states.items():
        if address in (lower, f"0000:{lower}") or netdev in (pf.netdev, *pf.netdevs):
            return pf
    raise BadInputError(f"PF '{name}' is not on this host; PFs of this host: {rows(in_order(states), ())}")


def in_order(states: Mapping[str, PfState]) -> list[PfState]:
    """PFs by the numbers of their addresses."""
    return sorted(states.values(), key=lambda pf: [int(part, 16) for part in re.split("[:.]", pf.address)])


def refusal(name: Selector, found: Sequence[PfState], all_of_host: Sequence[PfState]) -> str:
    """The refusal of a selector that matches other PFs than asked for.

    ``found``: the PFs that match.
    """
    asked = [key for key, _value in name.wanted]
    if not found:
        return f"PF {name} is not on this host; PFs of this host: {rows(all_of_host, asked)}"
    if name.index is not None:
        number = f"{len(found)} PFs match" if len(found) > 1 else "one PF matches"
        return f"PF {name}: {number}, so the highest index is {len(found) - 1}: {rows(found, _differ(found) or asked)}"
    return (
        f"PF {name} is not one PF, {len(found)} match: {rows(found, _differ(found))}; say more about it, choose one "
        f"with an index from 0 to {len(found) - 1}, or take all of them alike with all: true"
    )


def _differ(pfs: Sequence[PfState]) -> list[str]:
    """Names of known facts in which these PFs differ."""
    return [name for name in (*FACTS, "driver") if name != "mac" and len({values(pf).get(name) for pf in pfs}) > 1]


def rows(pfs: Iterable[PfState], names: Iterable[str]) -> str:
    """Each PF with its interface and the facts ``names``."""
    shown = [name for name in names if name != "netdev"]
    return ", ".join(_row(pf, shown) for pf in pfs) or "none"


def _row(pf: PfState, names: Iterable[str]) -> str:
    have = values(pf)
    facts = [f"{name} {have[name] or 'none'}" if name == "driver" else f"{name} {have.get(name)}" for name in names]
    details = "; ".join([*([pf.netdev] if pf.netdev else []), *facts])
    return f"{pf.address} ({details})" if details else pf.address
