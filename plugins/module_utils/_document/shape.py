# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes of input: mappings with known keys, lists, names of PFs.

As JSON or YAML give them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from .._model.errors import BadInputError
from .._model.values import shown

T = TypeVar("T")

ADDRESS = r"(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]"
"""A PCI address, with or without its domain.

Domains of VMD have five digits (drivers/pci/controller/vmd.c).
"""
_FORBIDDEN = frozenset("/:")
_LONGEST_NAME = 127
"""Bytes of an alternative name (include/linux/if.h, ALTIFNAMSIZ); other names have 15."""


class Mistakes:
    """The mistakes of an input, for its author to see at once.

    Used as a context, it keeps a `BadInputError` and goes on behind the block.
    """

    def __init__(self) -> None:
        self._found: list[str] = []

    def __enter__(self) -> Mistakes:
        return self

    def __exit__(self, _kind: object, error: object, _trace: object) -> bool:
        if isinstance(error, BadInputError):
            self.add(*error.mistakes)
            return True
        return False

    def add(self, *mistakes: str) -> None:
        self._found += mistakes

    def read(self, data: Mapping[str, Any], key: str, where: str, reader: Callable[[Any, str], T]) -> T | None:
        """``reader(value, path)`` of a key of ``data``.

        None where it is omitted or wrong.
        """
        if key in data:
            with self:
                return reader(data[key], f"{where}.{key}")
        return None

    def raise_found(self) -> None:
        """Raise `BadInputError` with all mistakes, if there are any."""
        if self._found:
            raise BadInputError(*self._found)


def mapping(data: object, where: str, keys: Sequence[str], mistakes: Mistakes) -> dict[str, Any]:
    """The mapping ``data`` without null values and unknown keys.

    Those are ``mistakes``. Raises `BadInputError` for anything but a mapping.
    """
    if not isinstance(data, Mapping):
        raise BadInputError(f"{where}: {shown(data)} is not a mapping with the keys {', '.join(keys)}")
    if any(key not in keys for key in data):
        from . import unknown_keys

        mistakes.add(*unknown_keys.mistakes(data, where, keys))
    return {key: value for key, value in data.items() if value is not None and key in keys}


def items(data: object, where: str) -> list[Any]:
    """The list ``data``; raises `BadInputError` for anything else."""
    if not isinstance(data, (list, tuple)):
        raise BadInputError(f"{where}: {shown(data)} is not a list")
    return list(data)


def pf_name(text: str, where: str) -> str:
    """A PCI address, or a name that a network interface can have.

    Raises `BadInputError` for another text: names become parts of paths (net/core/dev.c, dev_valid_name).
    """
    name = text.strip()
    if re.fullmatch(ADDRESS, name, re.ASCII) or is_interface_name(name):
        return name
    raise BadInputError(
        f"{where}: {shown(text)} is neither a PCI address like '0000:3b:00.0' nor the name of a network interface, "
        f"which has no blanks, '/' or ':', and at most {_LONGEST_NAME} bytes"
    )


def is_interface_name(name: str) -> bool:
    """Whether the kernel would take ``name`` for an interface."""
    good = name.isprintable() and not _FORBIDDEN & set(name) and " " not in name and name not in ("", ".", "..")
    return good and len(name.encode("utf-8", "surrogatepass")) <= _LONGEST_NAME
