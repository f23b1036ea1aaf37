# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that are not carried over, and mistyped ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .conversion import Notice

_OF_SRIOV = re.compile(r"sr-?iov|virtual-?function|(?:^|-)(?:num|total)-?vfs?\b|vfs?$|embedded-?switch|eswitch")
"""Words of keys of SR-IOV, in lower case with hyphens."""
_NEAR = 0.8
_DEEPEST = 6
"""Levels in which keys are looked for."""
_WHOLE = re.compile(
    r"(?:^|\.)(?:sr-?iov(?:\.[\w-]+)?|(?:sr-?iov-)?(?:total|num)-?vfs|virtual-functions?-count|embedded-switch-mode|"
    r"delay-virtual-functions-rebind)$"
)
"""Ends of paths that are keys of SR-IOV wherever they are.

In lower case with hyphens; ids of interfaces are none."""


def left(
    names: Iterable[object], prefix: str, keys: Sequence[str], system: str, misplaced: str = ""
) -> Iterator[Notice]:
    """Notices of keys or names that stay with ``system``.

    ``keys`` are those of SR-IOV that ``system`` has at this place or, ``misplaced``, at another one. A key that looks
    like one of them is named by itself: it has no effect there either.
    """
    others = []
    for name in map(str, names):
        text = _plain(name)
        near = difflib.get_close_matches(text, keys, 1, _NEAR) or ([keys[0]] if keys and _OF_SRIOV.search(text) else [])
        if not near:
            others.append(name)
        elif near[0] == name or misplaced:
            where = misplaced or "another place"
            yield Notice(f"{prefix}{name}", f"of SR-IOV, but ignored, as it is not where {system} reads it: {where}")
        else:
            yield Notice(f"{prefix}{name}", f"ignored: {system} has no such key; did you mean '{near[0]}'?")
    if others:
        yield Notice(f"{prefix}{', '.join(others)}", f"not of SR-IOV; stays with {system}")


def nested(
    parts: Iterable[tuple[str, object]], itself: bool = False, seen: frozenset[int] = frozenset()
) -> Iterator[Notice]:
    """Notices of keys of SR-IOV below ``parts``, values by path.

    With ``itself`` the parts' own keys count too. ``seen``: what they are in, as aliases of YAML can make a value part
    of itself.
    """
    for path, value in parts:
        inside = seen | {id(value)}
        if itself and _WHOLE.search(_plain(path)):
            yield Notice(path, "of SR-IOV, but not carried over from this place; declare it by hand")
        elif id(value) in seen or len(seen) > _DEEPEST:
            continue
        elif isinstance(value, Mapping):
            yield from nested([(f"{path}.{key}", one) for key, one in value.items()], True, inside)
        elif isinstance(value, (list, tuple)):
            yield from nested([(f"{path}[{index}]", one) for index, one in enumerate(value)], False, inside)


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")
