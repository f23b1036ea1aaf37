# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What YAML makes of values without quotes, turned back for messages.

YAML 1.1 takes digits with colons for numbers to base 60, and a comma ends a value within braces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .values import whole

_BASE = 60
_IDS = frozenset("0123456789-, ")


def address(value: object, octets: int) -> str:
    """The address that YAML has read as a number, or nothing."""
    left, parts = whole(value) or _long(value), []
    for _octet in range(octets - 1):
        left, part = divmod(left, _BASE)
        parts.append(part)
    return ":".join(f"{part:02d}" for part in [left, *reversed(parts)]) if 0 < left < 100 else ""


def _long(value: object) -> int:
    """Numbers of GUIDs, which have up to 15 digits, in texts."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20 else 0


def pci_address(value: object) -> str:
    """The PCI address that YAML has read as a fraction, or nothing."""
    if not isinstance(value, float) or not 0 <= value < 2**24:
        return ""
    whole_part, function = int(value), round(value * 10) % 10
    rest, slot = divmod(whole_part, _BASE)
    domain, bus = divmod(rest, _BASE)
    return f"{domain:04d}:{bus:02d}:{slot:02d}.{function}" if function < 8 else ""


def cut_list(data: Mapping[object, object], keys: Iterable[object]) -> tuple[str, str] | None:
    """The key whose list YAML has cut at commas, and that list.

    ``keys``: those of ``data`` that are unknown. None where they are no such pieces.
    """
    unknown = [key for key in data if key in keys]
    pieces = [key for key in unknown if data[key] is None and str(key) and _IDS.issuperset(str(key))]
    if not pieces:
        return None
    names = list(data)
    before = next((name for name in reversed(names[: names.index(pieces[0])]) if name not in pieces), None)
    value = data.get(before)
    if before is None or not _IDS.issuperset(str(value)):
        return None
    return str(before), ",".join(str(part).strip() for part in (value, *pieces))


def quoted(value: object, meant: str) -> str:
    """The words of a message about a value that needs quotes."""
    return f"{str(value)[:20]} is what YAML makes of {meant} without quotes; write '{meant}' in quotes"
