# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jinja in documents, which only Ansible evaluates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .._model.errors import BadInputError
from .._model.values import shown

_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
FIX = (
    "only Ansible evaluates it; write the value itself, or check what each host gets: the filter "
    "kvmfleet.sriov.host_document makes it a file ('Templates' in the guide on checking an inventory)"
)


class Unsafe(str):
    """A text with the tag ``!unsafe``, which Ansible does not evaluate either."""

    __slots__ = ()


def refuse(data: object, where: str) -> None:
    """Raise `BadInputError` with each text of a document that is a template."""
    if isinstance(data, Mapping):
        data = {key: value for key, value in data.items() if key in ("sriov_pfs", "pfs")}
    mistakes = [
        f"{place or where}: {shown(text)} is a template of Jinja, and {FIX}" for place, text in _found(data, "")
    ]
    if mistakes:
        raise BadInputError(*mistakes)


def line_of(text: str) -> int | None:
    """The number of the first line with a template, None without one."""
    for number, line in enumerate(text.splitlines(), 1):
        if _TEMPLATE.search(re.sub(r"(^|\s)#.*", "", line)):
            return number
    return None


def _found(data: object, where: str) -> Iterator[tuple[str, str]]:
    """Path and text of each template."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            place = f"{where}.{key}" if where else str(key)
            yield from _found(key, f"key of {where}" if where else "key")
            yield from _found(value, place)
    elif isinstance(data, (list, tuple)):
        for index, value in enumerate(data):
            yield from _found(value, f"{where}[{index}]")
    elif isinstance(data, str) and not isinstance(data, Unsafe) and _TEMPLATE.search(data):
        yield where, data
