# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrivals of PFs while a host boots: ready ones and missing ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .._document import lookup, selector
from .._document.document import HostDocument, PfSpec
from .._document.selector import Selector
from .._engine.named_pfs import altnames
from .._model.errors import BadInputError, KernelError
from .._model.paths import DEVICES
from .._model.state import PfState
from .._readers import netdevs
from .._readers.pfs import read_known
from .._system.process import Run
from .._system.sysfs import Sysfs

UDEV = "/run/udev"


@dataclass(frozen=True)
class Ready:
    """A PF that is there, with its spec at ``place``.

    ``place``: index in the document. The spec's ``pf`` is the address. A selector that means several PFs where one is
    meant stays: the engine's error lists them.
    """

    place: int
    spec: PfSpec


@dataclass(frozen=True)
class Missing:
    """A PF, or a part of it, that a spec lacks.

    ``text`` names it for people; ``address``: where the PF is known.
    """

    text: str
    address: str | None = None


@dataclass(frozen=True)
class Arrivals:
    """One reading of the document's PFs.

    ``possible``: addresses of PFs that a selector may mean once they have a driver.
    """

    ready: tuple[Ready, ...]
    missing: tuple[Missing, ...]
    possible: tuple[str, ...]


def read_arrivals(sysfs: Sysfs, run: Run, document: HostDocument, last: bool = False) -> Arrivals:
    """Read which PFs of the document are there.

    ``last``: nothing is read again, so a selector for one PF means the one that matches, whatever may still come. One
    with an ``index`` never does while a PF before its own may come to match: it would be another card.
    """
    states = read_known(sysfs, selector.facts_of(spec.pf for spec in document.pfs) | {"class"})
    names = altnames(run, (spec.pf for spec in document.pfs), states)
    found = [
        one for place, spec in enumerate(document.pfs) for one in _of_spec(sysfs, place, spec, states, names, last)
    ]
    return Arrivals(
        tuple(one for one in found if isinstance(one, Ready)),
        tuple(one for one in found if isinstance(one, Missing)),
        tuple(dict.fromkeys(one for one in found if isinstance(one, str))),
    )


def _of_spec(
    sysfs: Sysfs, place: int, spec: PfSpec, states: Mapping[str, PfState], names: Mapping[str, str], last: bool
) -> Iterator[Ready | Missing | str]:
    """Ready PFs of one spec, missing ones, and addresses it may mean."""
    if isinstance(spec.pf, str):
        try:
            pfs = lookup.find(spec.pf, states, names)
        except BadInputError:
            yield Missing(f"PF {spec.pf}")
            return
    else:
        pfs = lookup.matching(spec.pf, states)
        possible = [pf.address for pf in lookup.in_order(states) if spec.pf.may_match_later(pf)]
        if len(pfs) <= (spec.pf.index or 0):
            yield Missing(f"PF {spec.pf}")
            return
        if spec.pf.index is not None:
            pfs = pfs[spec.pf.index : spec.pf.index + 1]
            if before := _before(pfs[0], possible, states):
                yield Missing(f"what tells which one PF {spec.pf} is: the driver of {', '.join(before)}")
                return
        else:
            yield from possible
            if not spec.pf.all and len(pfs) > 1:
                yield Ready(place, spec)
                return
            if not spec.pf.all and possible and not last:
                return
    for pf in pfs:
        reason = _reason(spec, pf) or _unnamed(sysfs, spec, pf)
        yield Missing(reason, pf.address) if reason else Ready(place, spec._replace(pf=pf.address))


def _before(pf: PfState, possible: list[str], states: Mapping[str, PfState]) -> list[str]:
    order = [one.address for one in lookup.in_order(states)]
    return [address for address in possible if order.index(address) < order.index(pf.address)]


def _reason(spec: PfSpec, pf: PfState) -> str:
    name = spec.pf if isinstance(spec.pf, str) else pf.address
    if pf.driver is None:
        return f"the driver of PF {name}"
    return f"the network interface of PF {name}" if _wants_netdev(spec) and pf.netdev is None else ""


def _wants_netdev(spec: PfSpec) -> bool:
    return spec.settings.mtu is not None or spec.settings.link is not None or any(vf.properties for vf in spec.vfs)


def _unnamed(sysfs: Sysfs, spec: PfSpec, pf: PfState) -> str:
    """The reason why the interface's name does not count yet, or nothing.

    Until udev has handled an interface, it may have another one's name, or lose its own meanwhile. udev writes its
    database entry after renaming (systemd, src/udev/udev-event.c, udev_event_execute_rules); without udev nobody
    renames.
    """
    by_name = "netdev" in dict(spec.pf.wanted) if isinstance(spec.pf, Selector) else ":" not in spec.pf
    if pf.netdev is None or not (by_name or _wants_netdev(spec)):
        return ""
    if not sysfs.exists(f"{UDEV}/control"):
        return ""
    try:
        index = sysfs.read(f"{netdevs.path_of(sysfs, f'{DEVICES}/{pf.address}', pf.netdev)}/ifindex")
    except KernelError:
        index = ""  # renamed just now
    return "" if index and sysfs.exists(f"{UDEV}/data/n{index}") else f"udev's name for the interface of {pf.address}"
