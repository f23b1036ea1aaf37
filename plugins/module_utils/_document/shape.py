# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes of input: mappings with known keys, and lists.

As JSON or YAML give them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._model.errors import BadInputError


def mapping(data: object, where: str, keys: Sequence[str]) -> dict[str, Any]:
    """The mapping ``data`` without its null values.

    Raises `BadInputError` for anything but a mapping, and for a key that is none of ``keys``.
    """
    if not isinstance(data, Mapping):
        raise BadInputError(f"{where}: {data!r} is not a mapping with the keys {', '.join(keys)}")
    for key in data:
        if key not in keys:
            import difflib  # late: every run would pay for what only errors need

            near = difflib.get_close_matches(str(key), keys, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(keys)}"
            raise BadInputError(f"{where}.{key}: unknown key; {hint}")
    return {key: value for key, value in data.items() if value is not None}


def items(data: object, where: str) -> list[Any]:
    """The list ``data``; raises `BadInputError` for anything else."""
    if not isinstance(data, (list, tuple)):
        raise BadInputError(f"{where}: {data!r} is not a list")
    return list(data)
