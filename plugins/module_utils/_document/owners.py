# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entry of ``vfs`` declares each key of each VF."""

from __future__ import annotations

from collections.abc import Iterable

from .._model import vf_ids
from .._model.values import cut
from .id_sets import Ids


class Owners:
    """Entries by key and id.

    Each id is looked up once, so the check is linear in the ids of all entries.
    """

    def __init__(self) -> None:
        self._single: dict[str, dict[int, int]] = {}
        self._every: dict[str, int] = {}

    def claim(self, index: int, ids: Ids, keys: Iterable[str], where: str) -> list[str]:
        """Note that entry ``index`` declares ``keys`` of ``ids``.

        Returns a mistake for what an earlier entry declares already, keys of the same VFs together.
        """
        clashes: dict[tuple[int, str], list[str]] = {}
        for key in keys:
            owned = self._single.setdefault(key, {})
            if clash := self._clash(key, ids, owned):
                clashes.setdefault(clash, []).append(key)
            if isinstance(ids, str):
                self._every.setdefault(key, index)
            else:
                owned.update((i, index) for i in ids if i not in owned)
        return [
            f"{where}.{', '.join(keys)}: VF ids {cut(both)} have it from vfs[{other}] already; keep one"
            for (other, both), keys in clashes.items()
        ]

    def _clash(self, key: str, ids: Ids, owned: dict[int, int]) -> tuple[int, str] | None:
        """The first entry with the key for some of ``ids``, and those."""
        if key in self._every and ids:
            return self._every[key], ids if isinstance(ids, str) else vf_ids.compress(ids)
        common = owned if isinstance(ids, str) else [i for i in ids if i in owned]
        if not common:
            return None
        first = min(owned[i] for i in common)
        return first, vf_ids.compress(i for i in common if owned[i] == first)
