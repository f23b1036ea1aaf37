# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages about keys that a mapping does not have."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from .._model import yaml_traps
from .._model.values import cut, printable


def mistakes(data: Mapping[Any, Any], where: str, keys: Sequence[str]) -> list[str]:
    """One for each key of ``data`` that is none of ``keys``.

    A list that YAML has cut at its commas is one mistake.
    """
    unknown = [key for key in data if key not in keys]
    found = []
    if trap := yaml_traps.cut_list(data, unknown):
        key, meant = trap
        pieces = set(meant.split(",")[1:])
        unknown = [one for one in unknown if str(one).strip() not in pieces]
        found.append(f"{where}.{key}: YAML has cut a list at its comma; put it in quotes: {key}: '{cut(meant)}'")
    return [*found, *(f"{where}.{cut(printable(str(key)))}: unknown key; {_hint(key, keys)}" for key in unknown)]


def _hint(key: object, keys: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(key)[:80], keys, 1)
    return f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(keys)}"
