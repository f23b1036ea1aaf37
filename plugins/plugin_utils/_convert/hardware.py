# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs of a host as `sriov_info` returns them, for converters to search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError


def checked(pfs: object) -> list[Mapping[str, Any]] | None:
    """Check that ``pfs`` are those of `sriov_info`, or None.

    Raises `BadInputError` for anything else.
    """
    if pfs is None:
        return None
    good = isinstance(pfs, (list, tuple)) and all(isinstance(pf, Mapping) and "pf" in pf for pf in pfs)
    if not good or not isinstance(pfs, (list, tuple)):
        raise BadInputError("pfs: give the list 'pfs' that the module kvmfleet.sriov.sriov_info returned for the host")
    return list(pfs)


def names_of(pf: Mapping[str, Any]) -> set[str]:
    """Name and alternative names of its network interface."""
    return {str(name) for name in (pf.get("netdev"), *(pf.get("altnames") or ())) if name}


def by_patterns(pfs: Sequence[Mapping[str, Any]], name: str, drivers: Sequence[str]) -> list[Mapping[str, Any]]:
    """PFs whose interface fits ``name`` and whose driver fits one of ``drivers``."""
    return [
        pf
        for pf in pfs
        if any(fnmatchcase(one, name) for one in names_of(pf))
        and (not drivers or any(fnmatchcase(str(pf.get("driver")), driver) for driver in drivers))
    ]


def vf_of_netdev(pfs: Sequence[Mapping[str, Any]], pattern: str) -> list[tuple[Mapping[str, Any], int]]:
    """VFs, with their PFs, whose network interfaces fit ``pattern``."""
    return [
        (pf, int(vf["id"]))
        for pf in pfs
        for vf in pf.get("vfs") or ()
        if vf.get("netdev") and fnmatchcase(str(vf["netdev"]), pattern)
    ]


def vf_of_mac(pfs: Sequence[Mapping[str, Any]], mac: str) -> list[tuple[Mapping[str, Any], int]]:
    """VFs, with their PFs, whose network interfaces have the address ``mac``."""
    return [
        (pf, int(vf["id"]))
        for pf in pfs
        for vf in pf.get("vfs") or ()
        if mac.lower() in (str(vf.get("netdev_mac")).lower(), str(vf.get("mac")).lower())
    ]
