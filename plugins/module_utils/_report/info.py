# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs of a host and their VFs as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from .._holders.holders import Holder, read_holders
from .._model.errors import BadInputError, SriovError
from .._model.paths import UNFINISHED
from .._model.state import FACTS, PfState, vf_address
from .._model.vf_ids import describe
from .._readers import identity, mac_origin
from .._readers.pfs import read_known, read_vfs
from .._system import pf_lock

if TYPE_CHECKING:
    from .._document.selector import PfName
    from .._system.process import Run
    from .._system.sysfs import Sysfs

FULL, SUMMARY, NONE = EXTENTS = ("full", "summary", "none")
"""Extents of what is reported of VFs.

Each one of them; what they are bound to and which are in use; nothing that is read of them.
"""

VERSIONS = ("driver_version", "firmware_version", "model")

_Holders = Mapping[tuple[str, int], Holder]
_Value = TypeVar("_Value")


@dataclass
class _Reading:
    """A PF with more facts; ``unread``: failures of sources."""

    pf: PfState
    more: dict[str, Any] = field(default_factory=dict)
    nodes: dict[int, int] = field(default_factory=dict)
    macs: dict[int, tuple[str | None, str | None]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def tried(self, what: str, read: Callable[[], _Value], otherwise: _Value) -> _Value:
        """Read one source; a failure is kept in ``unread``."""
        try:
            return read()
        except SriovError as error:
            self.unread.append(f"{what}: {error}")
            return otherwise


def gather(
    sysfs: Sysfs, run: Run, names: Sequence[PfName] | None = None, *, properties: bool = True, vfs: str = FULL
) -> list[dict[str, Any]]:
    """One mapping per PF, by address; only of ``names`` where given.

    ``vfs`` is one of `EXTENTS`. The key ``vfs`` lists VFs that are present or have properties, with ``held_by`` for
    those in use (`holders`), as far as this user may know. A PF at which a write is under way has only ``blocked`` and
    its identity, one that cannot be read ``unreadable``. Without ``properties`` neither ``ip`` nor ``devlink`` is run
    for them.
    """
    pfs = _chosen(sysfs, run, names, vfs != NONE)
    wanted = {} if vfs == NONE else {pf.address: (pf, pf.present) for pf in pfs if pf.unreadable is None}
    holders = read_holders(sysfs, run, wanted, lenient=True)
    return [_shown(_tried(sysfs, run, pf, properties, vfs), holders, vfs) for pf in pfs]


def _chosen(sysfs: Sysfs, run: Run, names: Sequence[PfName] | None, details: bool) -> list[PfState]:
    states = read_known(sysfs, facts=FACTS)
    chosen = set(states) if names is None else _named(sysfs, run, names, states)
    return [_with_vfs(sysfs, states[address]) if details else states[address] for address in sorted(chosen)]


def _with_vfs(sysfs: Sysfs, pf: PfState) -> PfState:
    try:
        return read_vfs(sysfs, pf, pf.present)
    except SriovError as error:
        return pf._replace(unreadable=str(error))


def _named(sysfs: Sysfs, run: Run, names: Sequence[PfName], states: Mapping[str, PfState]) -> set[str]:
    from .._document.lookup import find
    from .._engine.named_pfs import altnames

    known = altnames(run, names, states)
    try:
        return {pf.address for name in names for pf in find(name, states, known)}
    except BadInputError as error:
        from .._engine.absent_pf import with_reasons

        raise with_reasons(sysfs, names, states, known, error) from error


def _tried(sysfs: Sysfs, run: Run, pf: PfState, properties: bool, vfs: str) -> _Reading:
    """The PF as `_read` gives it, or its error."""
    try:
        return _read(sysfs, run, pf, properties, vfs)
    except SriovError as error:
        return _Reading(pf._replace(unreadable=str(error)))


def _read(sysfs: Sysfs, run: Run, pf: PfState, properties: bool, vfs: str) -> _Reading:
    """The PF with identity, versions and properties.

    A blocked one stays as it is.
    """
    reading = _Reading(pf)
    if pf.blocked is not None or pf.unreadable is not None:
        return reading
    reading.more = {**identity.read(sysfs, pf), "unfinished": _unfinished(sysfs, pf.address), **dict.fromkeys(VERSIONS)}
    if vfs == FULL:
        reading.nodes = identity.numa_nodes(sysfs, pf)
        reading.macs = {vf_id: mac_origin.read(sysfs, vf) for vf_id, vf in pf.vfs.items()}
    if properties:
        from . import info_properties

        ids = pf.vfs if vfs == FULL else ()
        reading.pf, versions = info_properties.read(sysfs, run, pf, ids, reading.tried)
        if versions.unread:
            reading.unread.append(f"firmware_version: {versions.unread}")
        reading.more.update({name: getattr(versions, name) for name in VERSIONS})
    return reading


def _unfinished(sysfs: Sysfs, address: str) -> bool:
    """Whether a run that has ended left a journal of the PF."""
    return not pf_lock.busy(sysfs, [address]) and sysfs.exists(f"{UNFINISHED}/{address}")


def _shown(reading: _Reading, holders: _Holders, extent: str) -> dict[str, Any]:
    """`_pf`, also of a PF whose files contradict each other.

    They do when its number of VFs changes between two of them.
    """
    try:
        return _pf(reading, holders, extent)
    except SriovError as error:
        return _pf(_Reading(reading.pf._replace(unreadable=str(error))), holders, extent)


def _pf(reading: _Reading, holders: _Holders, extent: str) -> dict[str, Any]:
    """`PfState.to_dict` with abilities, and VFs as a list by id."""
    pf = reading.pf
    if pf.blocked is not None or pf.unreadable is not None:
        why = {"unreadable": pf.unreadable} if pf.blocked is None else {"blocked": pf.blocked}
        return {"pf": pf.address, "netdev": pf.netdev, "driver": pf.driver, **pf.facts, **why}
    data = pf.to_dict()
    vfs = [_vf(reading, int(vf_id), vf, holders) for vf_id, vf in data.pop("vfs").items()]
    return {
        **data, **pf.settings._asdict(), "total_msix": pf.total_msix,
        "altnames": list(pf.link.altnames) if pf.link else None, "mac": pf.link.permanent if pf.link else None,
        **reading.more, "abilities": pf.abilities._asdict(),
        "absent_vfs": describe(frozenset(range(pf.enabled)) - pf.present),
        **(_summary(pf, holders) if extent != NONE else {}), "unread": reading.unread,
        **({"vfs": vfs} if extent == FULL else {}),
    }  # fmt: skip


def _summary(pf: PfState, holders: _Holders) -> dict[str, Any]:
    drivers = Counter(vf.driver for vf in pf.vfs.values() if vf.driver)
    return {
        "vf_drivers": dict(sorted(drivers.items())),
        "unbound_vfs": describe(vf_id for vf_id, vf in pf.vfs.items() if not vf.driver),
        "held_vfs": describe(vf_id for address, vf_id in holders if address == pf.address),
    }


def _vf(reading: _Reading, vf_id: int, vf: dict[str, Any], holders: _Holders) -> dict[str, Any]:
    holder = holders.get((reading.pf.address, vf_id))
    node = {"numa_node": reading.nodes[vf_id]} if vf_id in reading.nodes else {}
    mac = dict(zip(("netdev_mac", "netdev_mac_origin"), reading.macs.get(vf_id, ())))
    held = {"held_by": str(holder)} if holder else {}
    return {"id": vf_id, "address": vf_address(reading.pf, vf_id), **vf, **node, **mac, **held}
