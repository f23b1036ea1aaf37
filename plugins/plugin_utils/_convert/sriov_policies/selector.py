# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs and VFs by the ``nicSelector`` of an operator's policy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import vf_ids
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import shown

from .. import hardware
from ..conversion import Notice, PfName, listing, mapping, pci_address, selector
from ..conversion import name as name_of

_KEYS = ("vendor", "deviceID", "rootDevices", "pfNames", "netFilter")
_IDS = (("vendor", "vendor"), ("deviceID", "device"))
"""Keys of a selector, and of the results of `sriov_info`."""
_ID = re.compile(r"[0-9a-f]{4}", re.ASCII)

Chosen = tuple[PfName, "frozenset[int]"]
"""Name of a PF in a document, and ids of its VFs."""


@dataclass(frozen=True)
class Selector:
    """A ``nicSelector``.

    ``names``: VF ids by names of PFs. ``ids``: vendor and device id, as far as they are given.
    """

    where: str
    ids: Mapping[str, str]
    addresses: tuple[str, ...]
    names: Mapping[str, frozenset[int]]
    every: frozenset[int]

    def chosen(self, pfs: Sequence[Mapping[str, Any]] | None) -> Iterator[Chosen | Notice]:
        """Selected PFs of the host by address, with ids of VFs.

        Without a known host they are named as the selector does it.
        """
        return self._by_text() if pfs is None else self._by_facts(pfs)

    def _by_text(self) -> Iterator[Chosen | Notice]:
        if not self.addresses and not self.names:
            yield selector(every=True, vendor=self.ids.get("vendor"), device=self.ids.get("deviceID")), self.every
        elif self.addresses and self.names and len(self.addresses) + len(self.names) > 2:
            text = "which rootDevices are which pfNames is not known; they are left out; give the host's pfs"
            yield Notice(self.where, text)
        else:
            if self.ids:
                yield Notice(f"{self.where}.{', '.join(self.ids)}", "not compared with the PFs; give the host's pfs")
            vfs = list(self.names.values()) or [self.every] * len(self.addresses)
            yield from zip(self.addresses or self.names, vfs)

    def _by_facts(self, pfs: Sequence[Mapping[str, Any]]) -> Iterator[Chosen | Notice]:
        found = False
        for pf in pfs:
            names = [name for name in self.names if name in hardware.names_of(pf)]
            ids = all(str(pf.get(fact)) == f"0x{self.ids[key]}" for key, fact in _IDS if key in self.ids)
            address = str(pf["pf"])
            if ids and (names or not self.names) and address in (self.addresses or (address,)):
                found = True
                for name in names[1:]:
                    text = f"the same PF as {names[0]}, of which alone the VFs are taken"
                    yield Notice(f"{self.where}.pfNames ({name})", text)
                yield address, self.names[names[0]] if names else self.every
        if not found:
            yield Notice(self.where, "no PF of this host fits")
        else:
            yield from self._absent(pfs)

    def _absent(self, pfs: Sequence[Mapping[str, Any]]) -> Iterator[Notice]:
        """Notices of names and addresses that no PF of the host has."""
        there = {str(pf["pf"]) for pf in pfs}.union(*(hardware.names_of(pf) for pf in pfs))
        for key, given in (("rootDevices", self.addresses), ("pfNames", self.names)):
            absent = [one for one in given if one not in there]
            if absent:
                yield Notice(f"{self.where}.{key}", f"not on this host: {', '.join(absent)}")


def read_selector(data: object, number: int, where: str) -> Selector:
    """Read the selector of a policy for ``number`` VFs a PF.

    Raises `BadInputError` naming the path for a wrong one.
    """
    given = {key: value for key, value in mapping(data, where).items() if value}
    for key in given:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(_KEYS)}"
            raise BadInputError(f"{where}.{key}: unknown key; {hint}")
    if not given:
        raise BadInputError(f"{where}: it is empty; give one of {', '.join(_KEYS)}")
    ids = {key: str(given[key]) for key, _fact in _IDS if key in given}
    for key, text in ids.items():
        if not _ID.fullmatch(text):
            raise BadInputError(
                f"{where}.{key}: {shown(given[key])} is not a PCI id; write four digits in quotes, as '15b3'"
            )
    names = _names(listing(given.get("pfNames"), f"{where}.pfNames"), number, f"{where}.pfNames")
    addresses = listing(given.get("rootDevices"), f"{where}.rootDevices")
    checked = tuple(pci_address(one, f"{where}.rootDevices[{index}]") for index, one in enumerate(addresses))
    return Selector(where, ids, checked, names, frozenset(range(number)))


def _names(items: Sequence[object], number: int, where: str) -> dict[str, frozenset[int]]:
    """VF ids by PF name, of texts like ``ens1f0#0-3``.

    A text without a range means all.
    """
    found: dict[str, frozenset[int]] = {}
    for index, text in enumerate(items):
        name, mark, ids = name_of(text, f"{where}[{index}]").partition("#")
        if name in found:
            raise BadInputError(
                f"{where}[{index}]: {shown(text)}: only the first entry for {name} has an effect; keep one"
            )
        if mark and not re.fullmatch(r"\d+-\d+", ids, re.ASCII):
            raise BadInputError(
                f"{where}[{index}]: {shown(text)} is not a name with a range of VFs; write '{name}#0-3'"
            )
        found[name] = vf_ids.parse(ids, number, f"{where}[{index}]") if mark else frozenset(range(number))
    return found
