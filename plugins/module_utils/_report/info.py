# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to know about the PFs of a host and their VFs, as plain data for modules and programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .._document.lookup import find
from .._document.selector import PfName
from .._engine.converge import altnames
from .._engine.reading import with_properties
from .._holders.holders import Holder, read_holders
from .._model.errors import BadInputError, SriovError
from .._model.paths import UNFINISHED
from .._model.settings import PfSettings
from .._model.state import FACTS, PfState
from .._model.vf_device import NAMES
from .._model.vf_ids import describe
from .._readers import details as _details
from .._readers import firmware, identity
from .._readers.pfs import read_known, read_vfs, vf_address
from .._system import pf_lock
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._tools import devlink

FULL, SUMMARY, NONE = EXTENTS = ("full", "summary", "none")
"""How much about VFs: each one of them; what they are bound to and which are in use; nothing that is read of them."""

_Holders = Mapping[tuple[str, int], Holder]
_Value = TypeVar("_Value")


@dataclass
class _Found:
    """A PF, and what is told of it beyond that; ``unread`` says what could not be read."""

    pf: PfState
    more: dict[str, Any] = field(default_factory=dict)
    nodes: dict[int, int] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def tried(self, what: str, read: Callable[[], _Value], otherwise: _Value) -> _Value:
        """A source that is missing is no reason to tell nothing."""
        try:
            return read()
        except SriovError as error:
            self.unread.append(f"{what}: {error}")
            return otherwise


def gather(
    sysfs: Sysfs, run: Run, names: Sequence[PfName] | None = None, *, properties: bool = True, vfs: str = FULL
) -> list[dict[str, Any]]:
    """One mapping per PF, by address; only those that ``names`` mean, unless that is None. ``vfs``: one of `EXTENTS`.

    ``vfs`` lists VFs that are present or have properties, with ``held_by`` for those in use (`_holders`), as far as
    this user may know. Of a PF at which a write is under way there is only ``blocked`` and by what it is known.
    Without ``properties`` neither ``ip`` nor ``devlink`` is asked about them.
    """
    pfs = _chosen(sysfs, run, names, vfs != NONE)
    asked = {} if vfs == NONE else {pf.address: (pf, pf.present) for pf in pfs}
    holders = read_holders(sysfs, run, asked, lenient=True)
    return [_pf(_found(sysfs, run, pf, properties, vfs), holders, vfs) for pf in pfs]


def _chosen(sysfs: Sysfs, run: Run, names: Sequence[PfName] | None, details: bool) -> list[PfState]:
    states = read_known(sysfs, facts=FACTS)
    known = altnames(run, names or (), states)
    chosen = set(states) if names is None else {pf.address for name in names for pf in find(name, states, known)}
    return [read_vfs(sysfs, states[address], states[address].present if details else ()) for address in sorted(chosen)]


def _found(sysfs: Sysfs, run: Run, pf: PfState, properties: bool, vfs: str) -> _Found:
    """With what planning reads only where it is wished, and versions; nothing more of a PF that is blocked."""
    found = _Found(pf)
    if pf.blocked is not None:
        return found
    found.more = {**identity.read(sysfs, pf), "unfinished": _unfinished(sysfs, pf.address)}
    if vfs == FULL:
        found.nodes = identity.numa_nodes(sysfs, pf)
    versions = firmware.Versions()
    if properties:
        _read_properties(sysfs, run, found, vfs)
        versions = firmware.read(sysfs, run, pf)
    if versions.unread:
        found.unread.append(f"firmware_version: {versions.unread}")
    found.more.update({name: value for name, value in vars(versions).items() if name != "unread"})
    return found


def _unfinished(sysfs: Sysfs, address: str) -> bool:
    """Whether a run has ended halfway and owes the PF something (`_owed`); while one is at work, it may still do so."""
    return not pf_lock.busy(sysfs, [address]) and sysfs.exists(f"{UNFINISHED}/{address}")


def _read_properties(sysfs: Sysfs, run: Run, found: _Found, vfs: str) -> None:
    pf = found.pf
    pf = found.tried("mtu", lambda: _details.read_settings(sysfs, run, found.pf, PfSettings(mtu=1)), pf)
    mode = found.tried("eswitch_mode", lambda: _eswitch_mode(run, pf), None)
    pf = pf._replace(settings=pf.settings._replace(eswitch_mode=mode))
    names = dict.fromkeys(pf.vfs if vfs == FULL else (), NAMES)
    pf = found.tried("msix_vectors and mtu of VFs", lambda: _details.read_devices(sysfs, pf, names), pf)
    pf = found.tried("altnames, mac and properties of VFs", lambda: with_properties(run, pf), pf)
    known = {vf_id: properties for vf_id, properties in pf.properties.items() if vf_id < pf.enabled}
    found.pf = pf._replace(properties=known)  # `ip` is asked later: another run may have enabled more by then


def _eswitch_mode(run: Run, pf: PfState) -> str | None:
    """None without an eswitch."""
    try:
        return devlink.eswitch_mode(run, pf.address) if firmware.has_devlink(pf) else None
    except BadInputError:
        return None


def _pf(found: _Found, holders: _Holders, extent: str) -> dict[str, Any]:
    """`PfState.to_dict` with abilities, and its VFs as a list in the order of their ids."""
    pf = found.pf
    if pf.blocked is not None:
        return {"pf": pf.address, "netdev": pf.netdev, "driver": pf.driver, **pf.facts, "blocked": pf.blocked}
    data = pf.to_dict()
    abilities = {name: value for name, value in pf.abilities._asdict().items() if name != "name"}
    vfs = [_vf(found, int(vf_id), vf, holders) for vf_id, vf in data.pop("vfs").items()]
    return {
        **data, **pf.settings._asdict(), "total_msix": pf.total_msix,
        "altnames": list(pf.link.altnames) if pf.link else None, "mac": pf.link.permanent if pf.link else None,
        **found.more, "abilities": abilities, "absent_vfs": describe(frozenset(range(pf.enabled)) - pf.present),
        **(_summary(pf, holders) if extent != NONE else {}), "unread": found.unread,
        **({"vfs": vfs} if extent == FULL else {}),
    }  # fmt: skip


def _summary(pf: PfState, holders: _Holders) -> dict[str, Any]:
    drivers = Counter(vf.driver for vf in pf.vfs.values() if vf.driver)
    return {
        "vf_drivers": dict(sorted(drivers.items())),
        "unbound_vfs": describe(vf_id for vf_id, vf in pf.vfs.items() if not vf.driver),
        "held_vfs": describe(vf_id for address, vf_id in holders if address == pf.address),
    }


def _vf(found: _Found, vf_id: int, vf: dict[str, Any], holders: _Holders) -> dict[str, Any]:
    holder = holders.get((found.pf.address, vf_id))
    node = {"numa_node": found.nodes[vf_id]} if vf_id in found.nodes else {}
    held = {"held_by": str(holder)} if holder else {}
    return {"id": vf_id, "address": vf_address(found.pf, vf_id), **vf, **node, **held}
