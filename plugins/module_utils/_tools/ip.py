# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces and VF properties, as ``ip`` shows them (iproute2, ip/)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from .._model.errors import DeadlineError, SriovError, ToolError
from .._model.link import ETHER, Link
from .._model.properties import VfProperties
from .._model.property_table import properties_of
from .._model.values import cut, printable, whole_of
from .._system.process import Run

Reading = tuple[Link, dict[int, VfProperties]]
"""An interface, and the properties of its VFs by id.

Of every VF that its driver knows; None for a property that it does not report.
"""

_Value = TypeVar("_Value")

_STRANGE = (LookupError, StopIteration, TypeError, ValueError, AttributeError, OverflowError)
"""Errors from an answer of another shape than that of ``ip``."""

_SHOW = ["ip", "-json", "-details", "link", "show"]


def read_link(run: Run, netdev: str) -> Reading:
    """An interface, and the properties of its VFs.

    Raises `SriovError` for an answer of another shape than that of ``ip``.
    """
    return read_one(run, netdev, reading)


def read_one(run: Run, netdev: str, read: Callable[[dict[str, Any]], _Value]) -> _Value:
    """What ``read`` gives for an interface; errors as in `read_link`."""
    argv = [*_SHOW, "dev", netdev]
    links = _links(run, argv)
    try:
        return read(next(one for one in links if "ifname" in one))
    except _STRANGE as error:
        raise SriovError(
            f"'{' '.join(argv)}' did not tell of {netdev} as ip does: {cut(printable(repr(error)))}"
        ) from error


def read_links(run: Run, netdevs: Collection[str]) -> dict[str, Reading]:
    """`read_link` for several interfaces, by one start of ``ip``.

    Those that it does not show, or shows in another form, are left out: the error is reported when they are read alone.
    """
    found: dict[str, Reading] = {}
    try:
        for link in _links(run, _SHOW):
            if link.get("ifname") in netdevs:
                found[link["ifname"]] = reading(link)
    except DeadlineError:
        raise
    except (SriovError, *_STRANGE):  # such as a dump that the kernel has no buffer for, EMSGSIZE
        pass
    return found


def netdev_of(run: Run, name: str) -> str:
    """Interface name behind ``name``, which may be an alternative name.

    Raises `ToolError` when there is none.
    """
    argv = ["ip", "-json", "link", "show", "dev", name]
    for link in _links(run, argv):
        return str(link["ifname"])
    raise ToolError(argv, 0, "no such interface")


def _links(run: Run, argv: list[str]) -> list[dict[str, Any]]:
    """Objects that ``ip`` prints, without empty ones of older versions."""
    try:
        return [dict(link) for link in json.loads(run(argv) or "[]") if link]
    except (ValueError, TypeError, RecursionError) as error:
        raise SriovError(f"'{' '.join(argv)}' did not answer in JSON: {cut(printable(str(error)))}") from error


def reading(link: dict[str, Any]) -> Reading:
    vfs = link.get("vfinfo_list", [])
    return _link(link), dict(zip(map(vf_id_of, vfs), properties_of(vfs)))


def vf_id_of(vf: dict[str, Any]) -> int:
    vf_id = _whole(vf["vf"])
    if vf_id < 0:
        raise ValueError(f"{vf_id} is no id of a VF")
    return vf_id


def _whole(value: object) -> int:
    # a bool is an int, too
    return value if type(value) is int else whole_of(value)  # pylint: disable=unidiomatic-typecheck


def _link(link: dict[str, Any]) -> Link:
    """Facts of an interface beside its VFs.

    ``permaddr`` is there only where it is not the present address.
    """
    return Link(
        kind=str(link.get("link_type", ETHER)),
        permanent=str(link.get("permaddr", link.get("address", ""))).lower() or None,
        min_mtu=_whole(link.get("min_mtu", 0)),
        max_mtu=_whole(link.get("max_mtu", 0)),
        altnames=tuple(link.get("altnames", ())),
        mtu=_whole(link.get("mtu", 0)),
    )
