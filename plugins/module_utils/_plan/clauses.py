# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clauses about single VFs, joined to one sentence for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .._model import vf_ids
from .spread import by_range

_OF_VF = re.compile(r"(?P<head>.*?)\bVF (?P<id>[0-9]{1,5})(?P<pf> of PF \S+)?(?P<tail>\D.*)?", re.DOTALL)


def joined(clauses: Iterable[str]) -> str:
    """``clauses`` with semicolons between them.

    Those that differ only in the VF, or in values of many VFs, are one (`spread.by_range`).
    """
    alike: dict[tuple[str, ...], dict[int, str]] = {}
    for place, clause in enumerate(clauses):
        found = _OF_VF.fullmatch(clause)
        key = (found["head"], found["pf"] or "") if found else ()
        vf_id = int(found["id"]) if found else place
        if not found or vf_id in alike.get(key, ()):
            alike[(clause, "", str(place))] = {vf_id: ""}
        else:
            alike.setdefault(key, {})[vf_id] = found["tail"] or ""
    return "; ".join(text for key, texts in alike.items() for text in _texts(key, texts))


def _texts(key: tuple[str, ...], texts: dict[int, str]) -> list[str]:
    if len(key) > 2:
        return [key[0]]
    return [
        f"{key[0]}VF{'s' if len(ids) > 1 else ''} {vf_ids.compress(ids)}{key[1]}{tail}" for ids, tail in by_range(texts)
    ]
