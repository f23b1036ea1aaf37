# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on signatures, against the real OVMF and sbsign."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_package import signature, trust
from tests.fake.boot import ovmf
from tests.unit.plugins.module_utils._kernel_package.test_trust import DB, DBX, Host, Keys, listed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.skipif(bool(ovmf.missing()), reason=f"not on this machine: {', '.join(ovmf.missing())}"),
]
CASES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str]] = {
    # who has signed it; what db has, beside the key of the other program; what dbx has; the verdict
    "unsigned": ((), ("fleet",), (), trust.UNTRUSTED),
    "signed": (("fleet",), ("fleet",), (), trust.TRUSTED),
    "signed by another key": (("other",), ("fleet",), (), trust.UNTRUSTED),
    "issued by one that is trusted": (("fleet",), ("ca",), (), trust.TRUSTED),
    "by its digest": ((), ("digest",), (), trust.TRUSTED),
    "revoked": (("fleet",), ("fleet",), ("fleet",), trust.REVOKED),
    "revoked by its digest": (("fleet",), ("fleet",), ("digest",), trust.REVOKED),
    "the issuer is revoked": (("fleet",), ("fleet",), ("ca",), trust.REVOKED),
    "one of two signatures is revoked": (("fleet", "other"), ("fleet",), ("other",), trust.REVOKED),
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    made = Keys(tmp_path_factory.mktemp("keys"))
    for name in ("other", "good"):
        made.add(name)
    return made


def signed(keys: Keys, data: bytes, who: tuple[str, ...], folder: Path) -> bytes:
    path = folder / "program.efi"
    path.write_bytes(data)
    for name in who:
        key, certificate = keys.folder / f"{name}.key", keys.folder / f"{name}.crt"
        words: list[str | Path] = ["sbsign", "--key", key, "--cert", certificate, "--output", path, path]
        subprocess.run(words, check=True, capture_output=True)
    return path.read_bytes()


@pytest.mark.parametrize(("who", "trusted", "revoked", "verdict"), CASES.values(), ids=CASES.keys())
def test_the_firmware_starts_what_is_trusted(
    tmp_path: Path, keys: Keys, who: tuple[str, ...], trusted: tuple[str, ...], revoked: tuple[str, ...], verdict: str
) -> None:
    tried = ovmf.program(ovmf.TRIED)
    digest = bytes.fromhex(signature.read(tried).digest)

    def lists(names: tuple[str, ...]) -> bytes:
        return b"".join(
            listed(trust.SHA256, digest) if name == "digest" else listed(trust.X509, keys.der(name)) for name in names
        )

    found = {"db": lists((*trusted, "good")), "dbx": lists(revoked)}
    host = Host(tmp_path / "host")
    host.image(signed(keys, tried, who, tmp_path))
    host.variable(DB, found["db"])
    host.variable(DBX, found["dbx"])
    machine = ovmf.Firmware(tmp_path / "machine", found)
    other = signed(keys, ovmf.program(ovmf.OTHER), ("good",), tmp_path)
    started = machine.starts((host.root / "boot/vmlinuz-1").read_bytes(), other)
    assert (host.judge(), started) == (verdict, verdict == trust.TRUSTED)
