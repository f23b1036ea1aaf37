# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON as programs send it, without numbers that are none."""

from __future__ import annotations

import json
import math
from typing import Any

from .values import cut


def loads(text: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """The value in a JSON text, as programs send them.

    Raises `ValueError` also for numbers that are none: JSON has no Infinity, and Python takes 1e999 for it.
    """
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def _finite(word: str) -> float:
    found = float(word)
    if not math.isfinite(found):
        raise ValueError(f"{cut(word)} is no number in JSON")
    return found
