# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds that are signed with an operator's key.

Real: openssl, make, dpkg-deb. Played, as it may not be on this machine: sbsign, on an image that is none.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build import signing
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.build import perform
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.inputs import Request, read_inputs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError
from tests.unit.plugins.module_utils._kernel_build.test_build import MAKEFILE, request_

PLAYED = {
    "sbsign": 'while test "$1" != --output; do shift; done; { cat "$3"; echo signed; } >"$2"',
    "sbverify": 'tail -n 1 "$3" | grep -qx signed',
}
REQUEST = ("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048")
SEEN = """\
bindeb-pkg: seen
seen:
\topenssl pkey -in $(O)/certs/kvmfleet-signing.pem -pubout >$(O)/../../public
\topenssl x509 -in $(O)/certs/kvmfleet-signing.pem -pubkey -noout >>$(O)/../../public
"""
__all__ = ["request_"]


def make_key(folder: Path, name: str, *words: str) -> tuple[Path, Path]:
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(
        [*REQUEST, "-subj", f"/CN={name}", "-keyout", key, "-out", certificate, *(words or ("-nodes",))],
        check=True,
        capture_output=True,
    )
    key.chmod(0o600)
    return key, certificate


@pytest.fixture
def signed(request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    (tmp_path / "bin").mkdir()
    for name, text in PLAYED.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    tree = tmp_path / "tree"
    (tree / "certs").mkdir(parents=True)
    for name, text in {"Makefile": MAKEFILE + SEEN, "Kconfig": "x\n", "a.c": "int stock;\n"}.items():
        (tree / name).write_text(text)
    key, certificate = make_key(tmp_path, "fleet")
    return replace(request_, source=tree, sign_key=key, sign_certificate=certificate)


def everything(folder: Path) -> bytes:
    """Contents of all files, and of all packages."""
    found = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    for package in folder.rglob("linux-image*.deb"):
        found.append(subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True).stdout)
    return b"\n".join(found)


def test_image_and_modules_are_signed(signed: Request, tmp_path: Path) -> None:
    """The private key is on no disk but the operator's."""
    result = perform(signed, check=False)
    public = (signed.cache / "public").read_text()
    half = len(public) // 2
    assert public[:half] == public[half:]
    package = Path(result["folder"], result["manifest"]["packages"][0]["file"])
    subprocess.run(["dpkg-deb", "--raw-extract", package, tmp_path / "out"], check=True)
    image = tmp_path / "out" / result["manifest"]["image"]["file"].lstrip("/")
    assert image.read_text().endswith("\nsigned\n")
    assert 'CONFIG_MODULE_SIG_KEY="certs/kvmfleet-signing.pem"' in image.read_text()
    assert result["manifest"]["certificate_sha256"] == signing.read(*make_paths(signed)).sha256
    assert signed.sign_key
    secret = signed.sign_key.read_bytes().splitlines()[3]
    assert secret not in everything(signed.cache)
    assert not list(signed.cache.rglob("kvmfleet-signing.pem"))


def make_paths(request: Request) -> tuple[Path, Path]:
    assert request.sign_key
    assert request.sign_certificate
    return request.sign_key, request.sign_certificate


def test_who_signs_is_a_part_of_the_key(signed: Request, tmp_path: Path) -> None:
    """By the certificate: the same key elsewhere is the same build."""
    key, certificate = make_key(tmp_path, "other")
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in make_paths(signed)))
    both.chmod(0o600)
    keys = [
        read_inputs(one).key
        for one in (
            replace(signed, sign_key=None), signed, replace(signed, sign_key=key, sign_certificate=certificate),
            replace(signed, sign_key=both, sign_certificate=None),
        )
    ]  # fmt: skip
    assert (len(set(keys)), keys[1]) == (3, keys[3])


def test_checksums_of_the_package_are_those_of_the_signed_image(signed: Request, tmp_path: Path) -> None:
    tree = tmp_path / "deb"
    (tree / "boot").mkdir(parents=True)
    (tree / "DEBIAN").mkdir()
    (tree / "boot/vmlinuz-1").write_text("kernel\n")
    (tree / "boot/config-1").write_text("x\n")
    subprocess.run("md5sum boot/* >DEBIAN/md5sums", shell=True, cwd=tree, check=True)
    (tree / "DEBIAN/control").write_text(
        "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a <a@a.example>\nDescription: d\n"
    )
    subprocess.run(["dpkg-deb", "--build", tree, tmp_path / "a.deb"], check=True, capture_output=True)
    signing.sign_package(tmp_path / "a.deb", signing.read(*make_paths(signed)))
    subprocess.run(["dpkg-deb", "--raw-extract", tmp_path / "a.deb", tmp_path / "out"], check=True)
    subprocess.run(["md5sum", "--check", "--strict", "DEBIAN/md5sums"], cwd=tmp_path / "out", check=True)
    assert (tmp_path / "out/boot/vmlinuz-1").read_text() == "kernel\nsigned\n"


def test_an_image_that_cannot_be_signed_is_an_error(signed: Request, tmp_path: Path) -> None:
    (tmp_path / "bin/sbsign").write_text("#!/bin/sh\necho Invalid DOS header magic >&2; exit 1\n")
    with pytest.raises(SriovError, match="'sbsign' answered: Invalid DOS header magic"):
        perform(signed, check=False)
    assert not list(signed.cache.rglob("manifest.json"))


@pytest.mark.parametrize("case", ["readable", "another", "passphrase", "missing", "none", "no certificate"])
def test_keys_that_do_not_fit_are_refused_first(signed: Request, tmp_path: Path, case: str) -> None:
    """In check mode too, with no word of what is in them."""
    key, certificate = make_paths(signed)
    if case == "readable":
        key.chmod(0o640)
        words = "can be read by others: chmod 600"
    elif case == "another":
        certificate = make_key(tmp_path, "other")[1]
        words = "is not the certificate of"
    elif case == "passphrase":
        key, certificate = make_key(tmp_path, "locked", "-passout", "pass:secret")
        words = "is no private key without passphrase"
    elif case == "missing":
        key = tmp_path / "nowhere"
        words = "which is to sign the kernel: No such file"
    else:
        path = key if case == "none" else certificate
        path.write_text("private things\n")
        words = "is no private key" if case == "none" else "is no certificate in PEM"
    with pytest.raises(BadInputError, match=words) as error:
        perform(replace(signed, sign_key=key, sign_certificate=certificate), check=True)
    assert "private things" not in str(error.value)
    assert not signed.cache.exists()
