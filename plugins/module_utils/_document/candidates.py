# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs as errors list them: with what tells one from the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._readers.pfs import FACTS, PfState
from .selector import Selector, values


def refusal(name: Selector, found: Sequence[PfState], all_of_host: Sequence[PfState]) -> str:
    """Why the PFs ``found`` are not what the selector means."""
    asked = [key for key, _value in name.wanted]
    if not found:
        return f"PF {name} is not on this host; PFs of this host: {rows(all_of_host, asked)}"
    if name.index is not None:
        number = f"{len(found)} PFs match" if len(found) > 1 else "one PF matches"
        return f"PF {name}: {number}, so the highest index is {len(found) - 1}: {rows(found, _telling(found) or asked)}"
    return (
        f"PF {name} is not one PF, {len(found)} match: {rows(found, _telling(found))}; say more about it, choose one "
        f"with an index from 0 to {len(found) - 1}, or take all of them alike with all: true"
    )


def _telling(pfs: Sequence[PfState]) -> list[str]:
    """The facts, as far as they were read, in which these PFs differ."""
    return [name for name in (*FACTS, "driver") if len({values(pf).get(name) for pf in pfs}) > 1]


def rows(pfs: Iterable[PfState], names: Iterable[str]) -> str:
    """Each PF with its interface and the facts ``names``."""
    shown = [name for name in names if name != "netdev"]
    return ", ".join(_row(pf, shown) for pf in pfs) or "none"


def _row(pf: PfState, names: Iterable[str]) -> str:
    have = values(pf)
    facts = [f"{name} {have[name] or 'none'}" if name == "driver" else f"{name} {have.get(name)}" for name in names]
    told = "; ".join([*([pf.netdev] if pf.netdev else []), *facts])
    return f"{pf.address} ({told})" if told else pf.address
