# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of network interfaces, of single VFs or from a base."""

from __future__ import annotations

from collections.abc import Iterable

from .addresses import PLUS_ID
from .errors import BadInputError
from .values import shown

LONGEST = 15
"""Bytes of a name (include/uapi/linux/if.h, IFNAMSIZ)."""

_FORBIDDEN = frozenset("/:%")
"""No characters of names: net/core/dev.c, dev_valid_name.

``%`` begins a template of the kernel's.
"""


def validate(value: object, where: str) -> str:
    """A name that the kernel takes for an interface.

    It may end with `PLUS_ID`: the VF's id stands there then. Raises `BadInputError` for anything else.
    """
    text = value.strip() if isinstance(value, str) else ""
    if is_derived(text):
        text = text[: -len(PLUS_ID)] + PLUS_ID
    if not _is_name(of_vf(text, 0)):
        raise BadInputError(
            f"{where}: {shown(value)} is no name of a network interface; write 1 to {LONGEST} bytes of ASCII without "
            "blanks, '/', ':' and '%', such as 'web0', or 'web+id' for VFs with their ids at the end"
        )
    return text


def is_derived(text: str) -> bool:
    """Whether ``text`` gives each VF a name of its own."""
    return text.lower().endswith(PLUS_ID)


def of_vf(text: str, vf_id: int) -> str:
    """The name of VF ``vf_id``."""
    return f"{text[: -len(PLUS_ID)]}{vf_id}" if is_derived(text) else text


def check_ids(text: str, ids: Iterable[int], where: str) -> None:
    """Raise `BadInputError` where the highest of ``ids`` has no room."""
    name = of_vf(text, max(ids, default=0))
    if len(name) > LONGEST:
        raise BadInputError(f"{where}: {text} is {name} for one VF, longer than {LONGEST} bytes; give a shorter name")


def _is_name(text: str) -> bool:
    plain = text.isascii() and text.isprintable() and " " not in text and not _FORBIDDEN & set(text)
    return plain and 0 < len(text) <= LONGEST and text not in (".", "..")
