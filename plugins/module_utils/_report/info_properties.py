# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings, VF properties and versions, as tools and drivers report them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from .._engine.reading import with_properties
from .._model.errors import SriovError
from .._model.settings import UP, PfSettings
from .._model.state import PfState
from .._model.vf_device import READ
from .._model.vf_ids import describe
from .._readers import details, firmware
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._tools import devlink, ip_words

_Value = TypeVar("_Value")


class Tried(Protocol):
    """Reads one source; returns ``otherwise`` where that fails, and keeps the reason."""

    def __call__(self, what: str, read: Callable[[], _Value], otherwise: _Value) -> _Value: ...


def read(sysfs: Sysfs, run: Run, pf: PfState, vf_ids: Iterable[int], tried: Tried) -> tuple[PfState, firmware.Versions]:
    """The PF with settings, properties, devices of ``vf_ids``, and its versions.

    Each source may be missing.
    """
    pf = tried("mtu and link", lambda: details.read_settings(sysfs, run, pf, PfSettings(mtu=1, link=UP)), pf)
    mode = tried("eswitch_mode", lambda: _eswitch_mode(run, pf), None)
    pf = pf._replace(settings=pf.settings._replace(eswitch_mode=mode))
    names = dict.fromkeys(vf_ids, READ)
    pf = tried("msix_vectors and mtu of VFs", lambda: details.read_devices(sysfs, pf, names), pf)
    pf = tried("altnames, mac and properties of VFs", lambda: _with_properties(run, pf, tried), pf)
    known = {vf_id: properties for vf_id, properties in pf.properties.items() if vf_id < pf.enabled}
    pf = pf._replace(properties=known)  # `ip` runs later: another run may have enabled more by then
    return pf, firmware.read(sysfs, run, pf)


def _eswitch_mode(run: Run, pf: PfState) -> str | None:
    """Eswitch mode of a PF; None without an eswitch."""
    try:
        return devlink.eswitch_mode(run, pf.address) if firmware.has_devlink(pf) else None
    except devlink.NoEswitchError:
        return None


def _with_properties(run: Run, pf: PfState, tried: Tried) -> PfState:
    """The PF with interface and VF properties; unknown words are named."""
    if not pf.netdev:
        return pf
    reading, unknown = ip_words.read_link(run, pf.netdev)
    for (name, word), ids in unknown.items():
        tried(f"{name} of VFs {describe(ids)}", functools.partial(_no_value, word), None)
    return with_properties(run, pf, {pf.netdev: reading})


def _no_value(word: str) -> None:
    raise SriovError(f"{word} is none of its values, so it counts as not reported")
