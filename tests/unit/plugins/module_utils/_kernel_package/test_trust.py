# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has signed an image, and whether a host trusts them.

Real: openssl, and a signature of sbsign. The image is a PE header; variables of EFI are files.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_package import signature, trust
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs

IMAGE = "/boot/vmlinuz-1"
DB, DBX = f"efivars/db-{trust.SECURITY}", f"efivars/dbx-{trust.SECURITY}"
MOK, MOKX = (f"efivars/{name}-{trust.SHIM}" for name in ("MokListRT", "MokListXRT"))


SBSIGN = """
eNrzjWIgGzgAcYArA0NKG6r4ByDmZiLfXAag3tXviVcuQKSZP1gZRgEa+AoKEyYmBoMm1pdsnFptHm3feRnZmRY0sd4CCl1jYmQ05DfgZeNMaPNg
TGVmYWJkZTCoYOPSZmNkYWwyZ2JkWZBlkGFgjCTCb6DKzMiwQGGRXIMMgw0Y+jMkMRQz5DPkMKQylACxHQgaGKKZy6Kw2NNWdGrUvBTrvZvOW8a2
vL02N3XWOQ6pxKLTjsr3owOOLWhiZjVoYmY0aGJ8uYCZiZGJSUSDT6v1mKXNC1HjVoPfiyS+HW2+0gMyF+oTRm6gewUM+Qx42JhDWZh5WNNyUlNL
DOTEeY3MDA2NDYDA0tAsCsw1gnOx6GhiVEI2Fuhc5iZGfmCwMXIxNTEyMiwW0lHYraz4QeDKr+/rdVulcp+lBXlNt/vW6LtwOu+O2PvrX/i1zgow
mPRxT5rwJrFlxly6s7IObHrVlj5Z4Pe7X2y7vsp4FxvJeEap54nfEl+VOzWwwYHvQ++0xMvcv6XviVRxvhBvvr72dPGkXqMO/8lqdTpMjdVXTRaX
lcyzMRJ15rSLWWm05ENI8FS/2jn2CXXOfo+7E45Z3XFrYrzoHBgkF7tfPvmlool62v3SizucSkt6/6xmWdEd1JEt+uKddb3WxTtTvDxmrBWYmZCl
6++ZfPKYRJJk7fuYXbHOJ+dxnP581Djgwy/tX5Zi1k8DS5t8lv2aMdX542eBJW9v/JyrwftDMdA6LGQvEzDOGRcHGwQayALDTZaPRYxFZB8Lu/4q
hTpWy9uvV99JmhpgvNF2p4E8SFqZRcJArAG7An6QAmFGxv8srAbMQAotNplBoZ2Sttl/ggFTiHKzlETmhb//n+yIiUgKEz0TtsTl4h1LO8aw2X4L
kxvd2HnKiqYqKYfGq1zzm3hhCr/gb+e/uguV981de/DRH4fYWdVGRd8s2xo/Pwx8lnL/y0eXj31X+Tyst4Qy88zQj5/HuzB/n+olNkmVpqD2ideu
ha9867tJvre56e2Od3UP2ervXbhyMPPkqi2nzDN/zmR9/eahbnNL7alIj50l21dw/2E7Uhfw5hrn5y9MnsUOs7V/Hynl6dq0efv69cVWDE/Dmor9
/8v21aV0vBUUz2iqvnVfauVyp92Ntae0Z5uYmfC7T/c2WTWBX+6C2+ILqVdfaEs6z7z+cnXF0jm7qsytw1dGZhk2MVkbNDEBcxujgQZmasWdLZCy
24LGpwaS8KDlZDbkQc7WBjIIKVZDfkR+ARKmUQb6CFkWQyUWhQJnlwNuk+TXfwpTenJk2jauWXMX8RRcjuv8XW6Qqm6/UsOgEqGB3zDHIMuAG+4Y
Ri1kjhgyh8mAi40Doo+Z3YAPzmYCllgNQP8g+IwOBuxsrNp8zEzsqOIaaNmWpYmRoUzyyYZZyQo5v5+b/dKcXmghalu9OHruuhjRFO64//mNnjLZ
n9QPKOWvz5/0cqGyv170TpFNWxjOuDdf/nV01UvLyR6MCqv0jje/2eK8SZxjGufDe+f29s1nMFiqcUalJd3sV1DJNb9pfW+ivOftN9z5k+txx/El
ty7ys1/a+3TdAVY3Fzlr342/xKq2b2DfKWqivirEdOb1qYun5P8Jd+D6t++e33sPUS3rbbODvG5+MmE1Cit0XJ5j0T7r74z1x5tv/Hpx44DXpdzF
2sz+7o0Z5znebjq+si1q2/YZG8LFFodHb+x54lwk9oovdUmCh0G0SXTjgpRTVTs4jp3qb3/3UU/hwKf3WUET9zBybAUW+QBGyjAk
"""
"""A header, signed by sbsign 0.9.4."""


def openssl(*words: str | Path, into: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], input=into, check=True, capture_output=True).stdout


class Keys:
    """A key that signs, and the one that issued its certificate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.add("ca")
        self.add("fleet", "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key")

    def add(self, name: str, *more: str | Path) -> None:
        new = ["req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"]
        openssl(*new, "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.crt", *more)

    def der(self, name: str) -> bytes:
        return openssl("x509", "-in", self.folder / f"{name}.crt", "-outform", "DER")

    def sign(self, name: str = "fleet", *more: str | Path) -> bytes:
        key, crt = self.folder / f"{name}.key", self.folder / f"{name}.crt"
        return openssl("cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-signer", crt, "-inkey", key, *more)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


def pe(*signatures: bytes) -> bytes:
    """A PE32+ file of one header, with these in its table."""
    head = bytearray(0x200)
    head[:2], head[0x3C:0x40], head[0x40:0x44] = b"MZ", struct.pack("<I", 0x40), b"PE\0\0"
    head[0x58:0x5A] = b"\x0b\x02"
    entries = [struct.pack("<IHH", len(one) + 8, 0x200, 2) + one + bytes(-len(one) % 8) for one in signatures]
    table = b"".join(entries)
    if table:
        head[0x58 + 144 : 0x58 + 152] = struct.pack("<II", len(head), len(table))
    return bytes(head) + table


def listed(kind: bytes, *entries: bytes) -> bytes:
    """A signature list for each entry, as those of certificates are."""
    return b"".join(
        kind + struct.pack("<III", 28 + 16 + len(one), 0, 16 + len(one)) + bytes(16) + one for one in entries
    )


class Host:
    def __init__(self, root: Path) -> None:
        self.root = root

    def image(self, data: bytes) -> None:
        path = self.root / IMAGE.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def variable(self, name: str, data: bytes) -> None:
        path = self.root / "sys/firmware/efi" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((b"\6\0\0\0" if name.startswith("efivars") else b"") + data)

    def judge(self) -> str:
        return trust.judge(Sysfs(str(self.root)), IMAGE)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("name", [DB, MOK, "mok-variables/MokListRT"])
@pytest.mark.parametrize("whose", ["fleet", "ca"])
def test_a_certificate_or_its_issuer_is_enrolled(host: Host, keys: Keys, name: str, whose: str) -> None:
    host.image(pe(keys.sign()))
    assert host.judge() == trust.UNTRUSTED
    host.variable(name, listed(trust.SHA256, bytes(32)) + listed(trust.X509, b"no certificate", keys.der(whose)))
    assert host.judge() == trust.TRUSTED


def test_others_are_not(host: Host, keys: Keys) -> None:
    """Nor is one that comes with the signature of another key."""
    host.variable(DB, listed(trust.X509, keys.der("fleet")))
    also = pe(keys.sign("ca", "-certfile", keys.folder / "fleet.crt"))
    for data in (
        also,
        pe(keys.sign("ca")),
        pe(),
        b"MZ",
        b"",
        pe(b"no signature"),
        b"kernel~Module signature appended~\n",
    ):
        host.image(data)
        assert host.judge() == trust.UNTRUSTED
    (host.root / IMAGE.lstrip("/")).unlink()
    assert host.judge() == ""


def test_a_digest_is_enrolled(host: Host, keys: Keys) -> None:
    """The same for an image with a signature and without one."""
    digest = hashlib.sha256(pe()[:0x98] + pe()[0x9C : 0x58 + 144] + pe()[0x58 + 152 :]).digest()
    host.variable(MOK, listed(trust.SHA256, digest))
    for data in (pe(), pe(keys.sign())):
        host.image(data)
        assert host.judge() == trust.TRUSTED
    host.image(pe()[:-1] + b"x")
    assert host.judge() == trust.UNTRUSTED


@pytest.mark.parametrize("name", [DBX, MOKX])
@pytest.mark.parametrize("what", ["fleet", "ca", "body", "digest"])
def test_what_is_revoked_counts_more(host: Host, keys: Keys, name: str, what: str) -> None:
    host.image(pe(keys.sign()))
    host.variable(DB, listed(trust.X509, keys.der("fleet")))
    body = bytes.fromhex(signature.certificate(keys.der("fleet")).body)
    digest = bytes.fromhex(signature.read(pe()).digest)
    lists = {
        "fleet": listed(trust.X509, keys.der("fleet")), "ca": listed(trust.X509, keys.der("ca")),
        "body": listed(trust.X509_SHA256, body + bytes(16)),
        "digest": listed(trust.SHA256, digest),
    }  # fmt: skip
    host.variable(name, lists[what])
    assert host.judge() == trust.REVOKED


def test_a_second_signature_counts(host: Host, keys: Keys) -> None:
    """One whose key is revoked is too much, as for EDK II."""
    host.image(pe(keys.sign("ca"), keys.sign()))
    host.variable(DB, listed(trust.X509, keys.der("fleet")))
    assert host.judge() == trust.TRUSTED
    host.variable(DBX, listed(trust.X509, keys.der("ca")))
    assert host.judge() == trust.REVOKED


def test_shim_that_does_not_check(host: Host) -> None:
    host.image(pe())
    host.variable(f"efivars/MokSBStateRT-{trust.SHIM}", b"\0")
    assert host.judge() == trust.UNTRUSTED
    host.variable(f"efivars/MokSBStateRT-{trust.SHIM}", b"\1")
    assert host.judge() == trust.OFF


def test_what_is_cut_or_damaged_is_read_as_far_as_it_goes(keys: Keys) -> None:
    image, lists = pe(keys.sign()), listed(trust.X509, keys.der("fleet"), keys.der("ca"))
    for size in range(0, len(image), 7):
        assert len(signature.read(image[:size]).chains) <= 1
    for at in range(0x200, len(image), 5):
        signature.read(image[:at] + bytes([image[at] ^ 0x80]) + image[at + 1 :])
    for size in range(0, len(lists), 7):
        assert len(trust.keys(lists[:size]).certificates) == (size >= len(listed(trust.X509, keys.der("fleet"))))


def test_what_sbsign_writes() -> None:
    """The digest is the one that it has signed."""
    image = zlib.decompress(base64.b64decode(SBSIGN))
    found = signature.read(image)
    assert bytes.fromhex(found.digest) in image
    assert found.digest == signature.read(image[:0xE8] + bytes(8) + image[0xF0:0x200]).digest
    assert [one.sha256 for one in found.chains[0]] == [
        "57012f84155416b1ff23f8920695ecb81716eab3e141f54a82b8eb138470aa3b"
    ]
