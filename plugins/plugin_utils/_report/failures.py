# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons of failed tasks, as one text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LONGEST = 2000
"""Most characters of a reason."""
SAYS_NOTHING = ("One or more items failed", "non-zero return code", "")


def reason(result: Mapping[str, Any], task: str) -> str:
    """What a failed result, its items and its program say.

    The name of ``task`` stands before, but for assertions, which are sentences of their own.
    """
    said = "; ".join(dict.fromkeys(_said(result))) or "it gave no reason"
    return (said if "assertion" in result else f"{task}: {said}")[:LONGEST]


def _said(result: Mapping[str, Any]) -> Iterator[str]:
    message = str(result.get("msg", ""))
    if message not in SAYS_NOTHING:
        yield message
    elif result.get("rc"):
        printed = str(result.get("stderr") or result.get("stdout") or "").strip()
        yield f"{' '.join(map(str, result.get('cmd', ())))} ended with {result['rc']}: {printed}"
    elif result.get("attempts"):
        name = result.get("item", {}).get("name") if isinstance(result.get("item"), Mapping) else None
        yield f"{f'{name}: ' if name else ''}still not after {result['attempts']} attempts"
    for item in result.get("results", ()):
        if item.get("failed") or item.get("unreachable"):
            yield from _said(item)
