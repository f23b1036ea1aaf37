# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the firmware and shim of a host trust.

Sources: UEFI 2.10, 32.4.1 (signature databases); shim's MokVars.txt; drivers/firmware/efi/mokvar-table.c of Linux.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from .._boot.efi import FOLDER, VARIABLES
from .._model.errors import KernelError
from .._system.sysfs import Sysfs
from . import signature
from .signature import Certificate, Signature, certificate

SECURITY = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
SHIM = "605dab50-e046-4300-abb6-3dd810dd8b23"
TABLE = f"{FOLDER}/mok-variables"
"""Shim's lists as the kernel keeps them, without attributes."""
X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le
SHA256 = uuid.UUID("c1c41626-504c-4092-aca9-41f936934328").bytes_le
X509_SHA256 = uuid.UUID("3bd2a492-96c0-4079-b420-fcf98ef103ed").bytes_le
OWNER = 16
TRUSTED, UNTRUSTED, REVOKED, OFF = "trusted", "untrusted", "revoked", "off"
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Keys:
    """A list of certificates and digests; ``bodies``: of certificates (TBSCertificate)."""

    certificates: tuple[Certificate, ...] = ()
    digests: frozenset[str] = frozenset()
    bodies: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Trust:
    """What a host trusts and refuses; ``shim``: whether shim started it."""

    trusted: Keys
    revoked: Keys
    shim: bool = False
    off: bool = False
    """Whether shim was set not to check (mokutil --disable-validation)."""

    def is_revoked(self, found: Signature) -> bool:
        """Whether the image, or somebody in a signature, is refused.

        Issuers count by their names, as their certificates need not come with the image.
        """
        if found.digest in self.revoked.digests:
            return True
        refused = {one.sha256 for one in self.revoked.certificates}
        names = {one.subject for one in self.revoked.certificates}
        return any(
            one.sha256 in refused or one.issuer in names or one.body in self.revoked.bodies
            for chain in found.chains
            for one in chain
        )

    def is_trusted(self, found: Signature) -> bool:
        """Whether the image, or somebody in one signature, is trusted.

        That is a certificate or the one that issued it, by its name where the issuer's does not come with the image.
        """
        known = {one.sha256 for one in self.trusted.certificates}
        names = {one.subject for one in self.trusted.certificates}
        return found.digest in self.trusted.digests or any(
            one.sha256 in known or one.issuer in names for chain in found.chains for one in chain
        )


def judge(sysfs: Sysfs, image: str) -> str:
    """What firmware and shim make of an image: `TRUSTED`, `UNTRUSTED`, `REVOKED`.

    `OFF` where shim does not check; empty for an image that cannot be read.
    """
    trust = read(sysfs)
    if trust.off:
        return OFF
    try:
        with open(sysfs.real(image), "rb") as file:
            found = signature.read(file.read())
    except OSError:
        return ""
    if trust.is_revoked(found):
        return REVOKED
    return TRUSTED if trust.is_trusted(found) else UNTRUSTED


def read(sysfs: Sysfs) -> Trust:
    """Read the lists of firmware and shim; missing ones are empty."""
    firmware = [_variable(sysfs, name, SECURITY) for name in ("db", "dbx")]
    shim = [_of_shim(sysfs, name) for name in ("MokListRT", "MokListXRT")]
    return Trust(
        keys((firmware[0] or b"") + (shim[0] or b"")),
        keys((firmware[1] or b"") + (shim[1] or b"")),
        shim=shim[0] is not None,
        off=(_of_shim(sysfs, "MokSBStateRT") or b"")[:1] == b"\1",
    )


def keys(data: bytes) -> Keys:
    """Contents of signature lists, up to the first that cannot be read."""
    certificates, digests, bodies = [], set(), set()
    for kind, entry in _entries(data):
        if kind == X509:
            try:
                certificates.append(certificate(entry))
            except ValueError:
                continue
        elif kind == SHA256:
            digests.add(entry.hex())
        elif kind == X509_SHA256:
            bodies.add(entry[:32].hex())
    return Keys(tuple(certificates), frozenset(digests), frozenset(bodies))


def _entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each entry, without its owner."""
    while len(data) >= 28:
        size, header, each = (int.from_bytes(data[at : at + 4], "little") for at in (16, 20, 24))
        if not 28 + header <= size <= len(data) or each <= OWNER:
            return
        rest = data[28 + header : size]
        while len(rest) >= each:
            yield data[:16], rest[OWNER:each]
            rest = rest[each:]
        data = data[size:]


def _of_shim(sysfs: Sysfs, name: str) -> bytes | None:
    """A variable that shim has copied for the system."""
    whole = _bytes(sysfs, f"{TABLE}/{name}")
    return whole if whole is not None else _variable(sysfs, name, SHIM)


def _variable(sysfs: Sysfs, name: str, vendor: str) -> bytes | None:
    data = _bytes(sysfs, f"{VARIABLES}/{name}-{vendor}")
    return None if data is None else data[4:]


def _bytes(sysfs: Sysfs, path: str) -> bytes | None:
    try:
        return sysfs.read_bytes(path, MAX_BYTES)
    except KernelError:
        return None
