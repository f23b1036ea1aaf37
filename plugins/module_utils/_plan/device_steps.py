# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps for the eswitch and the MTU of a PF, for the MSI-X vectors and the MTU of a VF."""

from __future__ import annotations

from .._model.paths import DEVICES
from .._model.state import PfState
from .._model.vf_device import VfDevice, number_for
from .actions import SetEswitch, SetMtu
from .steps import Step, links_as_found, set_msix, vf_link


def eswitch(pf: PfState, mode: str) -> Step:
    """Undone with the link states of VFs, as far as they stay enabled."""
    before = pf.settings.eswitch_mode or ""
    undo = (SetEswitch(pf.address, before), *links_as_found(pf))
    return Step(pf.address, "eswitch", before, mode, SetEswitch(pf.address, mode), undo)


def pf_mtu(pf: PfState, mtu: int) -> Step:
    """Of the interface that the PF has now: in switchdev mode others join it in its folder."""
    path = f"{DEVICES}/{pf.address}"
    before = pf.settings.mtu
    undo = () if before is None else (SetMtu(path, before),)
    return Step(pf.address, "mtu", _text(before), str(mtu), SetMtu(path, mtu), undo)


def vf_msix(pf: PfState, vf_id: int, vectors: int, *, fresh: bool) -> Step:
    """Of a VF that is not bound. ``fresh``: enabled by this plan, so that disabling it is undo enough.

    Without a reading, of a VF that was enabled but absent, undo is the device's default: only a VF that is present
    tells its number.
    """
    before = pf.devices.get(vf_id, VfDevice()).msix_vectors
    undo = () if fresh else (set_msix(pf, vf_id, 0 if before is None else number_for(before, pf.driver)),)
    ids = frozenset({vf_id})
    return Step(pf.address, "msix", _text(before), str(vectors), set_msix(pf, vf_id, vectors), undo, ids)


def vf_mtu(pf: PfState, vf_id: int, mtu: int, *, renewed: bool) -> Step:
    """``renewed``: its interface came with this plan and goes with its undo."""
    before = None if renewed else pf.devices.get(vf_id, VfDevice()).mtu
    folder = vf_link(pf, vf_id)
    undo = () if before is None else (SetMtu(folder, before),)
    return Step(pf.address, "vf mtu", _text(before), str(mtu), SetMtu(folder, mtu), undo, frozenset({vf_id}))


def _text(value: int | None) -> str:
    return "default" if value is None else str(value)
