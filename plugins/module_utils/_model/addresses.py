# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses for many VFs from one declared value.

Either a base that the VF's id is added to, or a hash of the PF's address and the id.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from . import yaml_traps
from .errors import BadInputError
from .values import shown

HASH = "hash"
"""The MAC address "hash": derived from PF address and VF id.

The PF address is the permanent one.
"""

PLUS_ID = "+id"
"""Suffix of a base address that the VF's id is added to."""

_LOW_OCTETS = 3
_OCTETS = {6: "MAC address", 8: "GUID"}


def is_derived(text: str | None) -> bool:
    """Whether ``text`` gives each VF an address of its own."""
    return text is not None and (text == HASH or text.endswith(PLUS_ID))


def is_plain(text: str, octets: int) -> bool:
    """Whether ``text`` is ``octets`` octets in lower case, and nothing else."""
    return re.fullmatch(rf"[0-9a-f]{{2}}(:[0-9a-f]{{2}}){{{octets - 1}}}", text, re.ASCII) is not None


def validate(value: object, octets: int, where: str, *, hashed: bool = False) -> str:
    """A valid address of ``octets`` octets, in lower case.

    It may end with `PLUS_ID`; `HASH` is valid only where ``hashed``. Raises `BadInputError` for anything else, for a
    multicast MAC address, and for a base of zeros, which means "none".
    """
    text = value.strip().lower() if isinstance(value, str) else ""
    if hashed and text == HASH:
        return text
    base = text[: -len(PLUS_ID)] if text.endswith(PLUS_ID) else text
    good = is_plain(base, octets)
    if not good and (meant := yaml_traps.address(value, octets)):
        raise BadInputError(f"{where}: {yaml_traps.quoted(value, meant)}")
    if not good or (octets == 6 and int(base[:2], 16) & 1):
        kind = "a unicast MAC address" if octets == 6 else f"a {_OCTETS[octets]}"
        example = ":".join(["02", *["00"] * (octets - 2), "01"])
        more = f", '{example}+id' or 'hash'" if hashed else f" or '{example}+id'"
        raise BadInputError(f"{where}: {shown(value)} is not {kind}; write it like '{example}'{more}")
    if base != text and not base.strip("0:"):
        raise BadInputError(f"{where}: {shown(value)} starts from no address; give a base of your own, like '02:...'")
    return text


def check_ids(text: str | None, ids: Iterable[int], where: str) -> None:
    """Raise `BadInputError` where the highest of ``ids`` overflows the base."""
    highest = max(ids, default=None)
    if text is not None and text.endswith(PLUS_ID) and highest is not None:
        room = (1 << 8 * _LOW_OCTETS) - 1 - _low(_octets(text))
        if highest > room:
            raise BadInputError(
                f"{where}: {text} overflows with VF {highest}: its last {_LOW_OCTETS} octets have room up to id "
                f"{room}; give a lower base"
            )


def address(text: str, vf_id: int, identity: str | None) -> str:
    """The address of VF ``vf_id``, derived from a base or `HASH`.

    Other addresses are returned unchanged, `HASH` too while ``identity`` is None.

    A base: the id is added to the last three octets, with carries between them. The octets before are the vendor's or
    the administrator's prefix and never change, so neither does the multicast bit; `check_ids` has refused ids that do
    not fit. A hash: the first six octets of SHA-256 over ``kvmfleet.sriov mac IDENTITY ID``, with the bit for locally
    administered addresses set and the one for multicast cleared (IEEE 802-2014, 8.4.4). ``identity`` is the permanent
    MAC address of the PF, which stays through reboots, other names and other slots. This is fixed: hosts rely on it.
    """
    if text == HASH:
        return text if identity is None else _hashed(identity, vf_id)
    if not text.endswith(PLUS_ID):
        return text
    octets = _octets(text)
    return _text(octets[:-_LOW_OCTETS] + (_low(octets) + vf_id).to_bytes(_LOW_OCTETS, "big"))


def number(text: str, vf_id: int) -> int:
    """The number of VF ``vf_id``, derived from a base."""
    return int(text[: -len(PLUS_ID)]) + vf_id


def check_numbers(text: str, ids: Iterable[int], high: int, where: str) -> None:
    """Raise `BadInputError` where the highest of ``ids`` leads above ``high``."""
    highest = max(ids, default=None)
    if highest is not None and number(text, highest) > high:
        raise BadInputError(
            f"{where}: {text} is {number(text, highest)} for VF {highest}, above {high}; give a lower base"
        )


def _hashed(identity: str, vf_id: int) -> str:
    digest = hashlib.sha256(f"kvmfleet.sriov mac {identity.lower()} {vf_id}".encode()).digest()
    return _text(bytes([digest[0] & 0xFC | 0x02]) + digest[1:6])


def _octets(text: str) -> bytes:
    return bytes.fromhex(text[: -len(PLUS_ID)].replace(":", ""))


def _low(octets: bytes) -> int:
    return int.from_bytes(octets[-_LOW_OCTETS:], "big")


def _text(octets: bytes) -> str:
    return ":".join(f"{octet:02x}" for octet in octets)
