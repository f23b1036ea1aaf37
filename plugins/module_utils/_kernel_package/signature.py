# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has signed a kernel image, by its PE file.

Sources: Microsoft's PE format ("The Attribute Certificate Table") and Authenticode; RFC 2315 (PKCS #7), RFC 5280.
The signature itself is not verified: who is to start the image does that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

PKCS7 = 0x0002
"""WIN_CERT_TYPE_PKCS_SIGNED_DATA."""
SEQUENCE, CHOICE_0 = 0x30, 0xA0
MAX_PARTS = 64


@dataclass(frozen=True)
class Certificate:
    """A certificate, by what says which one it is.

    ``sha256``: of all of it, in hex; ``body``: of its TBSCertificate, which dbx may name; names and number are DER.
    """

    sha256: str
    body: str
    issuer: bytes
    number: bytes
    subject: bytes


@dataclass(frozen=True)
class Signature:
    """The image's digest, and for each signature its certificates, the signer's first."""

    digest: str
    chains: tuple[tuple[Certificate, ...], ...] = ()


def read(image: bytes) -> Signature:
    """Signatures of an image.

    None for one that is no PE file, or whose table cannot be read.
    """
    table = _table(image)
    if table is None:
        return Signature("")
    checksum, entry, begin, size = table
    padded = image[entry + 8 :] + bytes(-len(image) % 8) if not begin else image[entry + 8 : begin]
    rest = b"" if not begin else image[begin + size :]
    digest = hashlib.sha256(image[:checksum] + image[checksum + 4 : entry] + padded + rest).hexdigest()
    return Signature(digest, tuple(_chains(image[begin : begin + size] if begin else b"")))


def _table(image: bytes) -> tuple[int, int, int, int] | None:
    """Offsets of checksum and table entry; begin and size of the table."""
    header = int.from_bytes(image[0x3C:0x40], "little")
    if image[:2] != b"MZ" or image[header : header + 4] != b"PE\0\0":
        return None
    optional = header + 24
    entry = optional + (112 if image[optional : optional + 2] == b"\x0b\x02" else 96) + 32
    begin, size = (int.from_bytes(image[at : at + 4], "little") for at in (entry, entry + 4))
    return (optional + 64, entry, begin, size) if begin + size <= len(image) else None


def _chains(table: bytes) -> Iterator[tuple[Certificate, ...]]:
    """Certificates of each entry, as far as it can be read."""
    for _part in range(MAX_PARTS):
        size, kind = int.from_bytes(table[:4], "little"), int.from_bytes(table[6:8], "little")
        if not 8 < size <= len(table):
            return
        if kind == PKCS7:
            try:
                yield tuple(_chain(table[8:size]))
            except ValueError:
                yield ()
        table = table[size + -size % 8 :]


def _chain(signed: bytes) -> list[Certificate]:
    """Certificates from the signer's on, each issued by the next.

    Raises ValueError for what is no signature.
    """
    fields = _parts(_parts(_whole(signed))[1])
    data = _parts(_value(fields[0])) if fields[0][0] != SEQUENCE else _parts(fields[0])
    found = [certificate(one) for field in data if field[0] == CHOICE_0 for one in _parts(field)]
    signer = _parts(_parts(data[-1])[0])
    issuer, number = _parts(signer[1])[:2]
    chain = [one for one in found if (one.issuer, one.number) == (issuer, number)][:1]
    while chain and len(chain) <= len(found):
        above = [one for one in found if one.subject == chain[-1].issuer and one not in chain]
        if not above:
            break
        chain.append(above[0])
    return chain


def certificate(encoded: bytes) -> Certificate:
    """What a certificate in DER says; raises ValueError for other bytes."""
    body = _parts(_whole(encoded))[0]
    fields = _parts(body)
    fields = fields[1:] if fields[0][0] == CHOICE_0 else fields
    number, _algorithm, issuer, _validity, subject = fields[:5]
    sha256 = hashlib.sha256(_whole(encoded)).hexdigest()
    return Certificate(sha256, hashlib.sha256(body).hexdigest(), issuer, number, subject)


def _whole(data: bytes) -> bytes:
    """The first value, with its head, without what follows."""
    begin, end = _bounds(data)
    return data[:end] if begin else b""


def _value(data: bytes) -> bytes:
    begin, end = _bounds(data)
    return data[begin:end]


def _parts(data: bytes) -> list[bytes]:
    """The values that a value consists of, each with its head."""
    rest = _value(data)
    found: list[bytes] = []
    while rest and len(found) < MAX_PARTS:
        _begin, end = _bounds(rest)
        found.append(rest[:end])
        rest = rest[end:]
    if not found:
        raise ValueError("an empty value")
    return found


def _bounds(data: bytes) -> tuple[int, int]:
    """Begin and end of a value's contents (X.690, definite lengths)."""
    if len(data) < 2:
        raise ValueError("the data ends early")
    digits = data[1] & 0x7F if data[1] & 0x80 else 0
    size = int.from_bytes(data[2 : 2 + digits], "big") if digits else data[1]
    begin = 2 + digits
    if data[1] == 0x80 or digits > 4 or begin + size > len(data):
        raise ValueError("a length that does not fit")
    return begin, begin + size
