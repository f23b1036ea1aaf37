# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to know about the PFs of a host and their VFs, as plain data for modules and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _details
from ._engine import altnames
from ._holders import Holder, read_holders
from ._pf_settings import PfSettings
from ._process import Run
from ._reading import with_properties
from ._selector import PfName, find
from ._state import FACTS, PfState, read_known, read_vfs, vf_address
from ._sysfs import Sysfs
from ._vf_device import NAMES


def gather(
    sysfs: Sysfs, run: Run, names: Sequence[PfName] | None = None, *, properties: bool = True
) -> list[dict[str, Any]]:
    """One mapping per PF, by address; only those that ``names`` mean, unless that is None.

    ``vfs`` lists VFs that are present or have properties, with ``held_by`` for those in use (`_holders`), as far as
    this user may know. Of a PF at which a write is under way there is only ``blocked`` and by what it is known.
    """
    pfs = _chosen(sysfs, run, names)
    holders = read_holders(sysfs, run, {pf.address: (pf, pf.present) for pf in pfs}, lenient=True)
    return [_pf(_with_all(sysfs, run, pf) if properties else pf, holders) for pf in pfs]


def _chosen(sysfs: Sysfs, run: Run, names: Sequence[PfName] | None) -> list[PfState]:
    states = read_known(sysfs, facts=FACTS)
    known = altnames(run, names or (), states)
    chosen = set(states) if names is None else {pf.address for name in names for pf in find(name, states, known)}
    return [read_vfs(sysfs, states[address], states[address].present) for address in sorted(chosen)]


def _with_all(sysfs: Sysfs, run: Run, pf: PfState) -> PfState:
    """With what planning reads only where it is wished; nothing more of a PF that is blocked."""
    if pf.blocked is not None:
        return pf
    pf = _details.with_mode(run, _details.read_settings(sysfs, run, pf, PfSettings(mtu=1)))
    pf = _details.read_devices(sysfs, pf, dict.fromkeys(pf.vfs, NAMES))
    return with_properties(run, pf) if pf.enabled else pf


def _pf(pf: PfState, holders: dict[tuple[str, int], Holder]) -> dict[str, Any]:
    """`PfState.to_dict` with abilities, and its VFs as a list in the order of their ids."""
    if pf.blocked is not None:
        return {"pf": pf.address, "netdev": pf.netdev, "driver": pf.driver, **pf.facts, "blocked": pf.blocked}
    data = pf.to_dict()
    abilities = {name: value for name, value in vars(pf.abilities).items() if name != "name"}
    vfs = [_vf(pf, int(vf_id), vf, holders) for vf_id, vf in data.pop("vfs").items()]
    settings = {**vars(pf.settings), "total_msix": pf.total_msix}
    return {**data, **settings, "abilities": abilities, "vfs": vfs}


def _vf(pf: PfState, vf_id: int, vf: dict[str, Any], holders: dict[tuple[str, int], Holder]) -> dict[str, Any]:
    holder = holders.get((pf.address, vf_id))
    held = {"held_by": str(holder)} if holder else {}
    return {"id": vf_id, "address": vf_address(pf, vf_id), **vf, **held}
