# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens in a LUKS2 header: who opens a volume besides passphrases.

From the LUKS2 On-Disk Format Specification: 4096 bytes of binary header, then JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .._model.errors import KernelError
from .._system.sysfs import Sysfs

MAGIC, JSON_AT = b"LUKS\xba\xbe\x00\x02", 4096
LARGEST = 4 << 20
"""Bytes of the largest header that the specification knows."""
MOVING_PCRS = (10, 11, 15)
"""TPM registers that go on changing after the boot loader.

By IMA, by systemd's boot phases, and by volume keys and file systems (systemd-pcrphase.service(8)). A kexec resets no
TPM: a key that is sealed against one of them stays sealed in the new kernel.
"""


@dataclass(frozen=True)
class Token:
    """A token of a volume.

    ``kind`` as in the header; ``pcrs``: TPM registers that it is sealed against; ``pin``: whether it asks for one.
    """

    kind: str
    pcrs: tuple[int, ...] = ()
    pin: bool = False


def tokens(sysfs: Sysfs, device: str) -> tuple[Token, ...]:
    """Tokens of the volume on ``/dev/NAME``; none where they cannot be read."""
    path = f"/dev/{device}"
    try:
        head = sysfs.read_bytes(path, JSON_AT)
        size = int.from_bytes(head[8:16], "big")
        if not head.startswith(MAGIC) or not JSON_AT < size <= LARGEST:
            return ()
        area = json.loads(sysfs.read_bytes(path, size)[JSON_AT:].split(b"\0", 1)[0])
    except (KernelError, ValueError, RecursionError):
        return ()
    found = area.get("tokens") if isinstance(area, dict) else None
    return tuple(_token(one) for one in found.values() if isinstance(one, dict)) if isinstance(found, dict) else ()


def _token(data: dict[str, Any]) -> Token:
    """Token of systemd-cryptenroll(1), clevis, or others."""
    kind = str(data.get("type", ""))[:64]
    if kind == "clevis":
        return Token(kind, _clevis_pcrs(data.get("jwe")))
    pcrs = [data.get(name) for name in ("tpm2-pcrs", "tpm2_pubkey_pcrs")]
    return Token(
        kind, _numbers(one for part in pcrs if isinstance(part, list) for one in part), data.get("tpm2-pin") is True
    )


def _clevis_pcrs(jwe: object) -> tuple[int, ...]:
    """Registers of clevis' pin tpm2 (clevis-encrypt-tpm2(1)).

    They are in the protected header of its JWE (RFC 7516), base64url without padding.
    """
    protected = jwe.get("protected") if isinstance(jwe, dict) else None
    if not isinstance(protected, str):
        return ()
    try:
        header = json.loads(base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))
        return _numbers(str(header["clevis"]["tpm2"]["pcr_ids"]).split(","))
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return ()


def _numbers(found: Iterable[object]) -> tuple[int, ...]:
    """TPM registers, 0 to 23."""
    texts = [str(one).strip() for one in found]
    return tuple(int(one) for one in texts if one.isascii() and one.isdecimal() and len(one) < 3)
