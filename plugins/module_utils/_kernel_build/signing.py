# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of modules and image with an operator's key.

kbuild signs the modules, sbsign the image. kbuild wants private key and certificate in one file. It gets a link to one
in memory, so that the key is on no disk but the operator's, in no log, and gone with this process.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .._model.errors import BadInputError, SriovError
from .distributions import OPERATORS

FRAGMENT = f'CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_ALL=y\nCONFIG_MODULE_SIG_KEY="{OPERATORS}"\n'
"""Options for signed modules (certs/Kconfig).

The kernel trusts the certificate of that key, for its modules and for those that are signed with it later.
"""
PACKAGES = {"openssl": "openssl", "sbsign": "sbsigntool", "sbverify": "sbsigntool", "dpkg-deb": "dpkg"}


@dataclass(frozen=True)
class Signer:
    """Key and certificate, PEM files of the operator.

    ``sha256``: of the certificate in DER, as mokutil and manifests name it; no part of the private key is in it.
    """

    key: Path
    certificate: Path
    sha256: str


def read(key: Path, certificate: Path) -> Signer:
    """Read the certificate, and check that the key fits.

    Raises BadInputError, which has the paths but no contents.
    """
    try:
        mode = key.stat().st_mode
        certificate.stat()
    except OSError as error:
        raise BadInputError(
            f"cannot read {error.filename} on the build host, which is to sign the kernel: {error.strerror}"
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise BadInputError(f"{key}, the key that signs kernels, can be read by others: chmod 600 {key}")
    whose = _openssl(["pkey", "-in", key, "-passin", "pass:", "-pubout"], f"{key} is no private key without passphrase")
    found = _openssl(["x509", "-in", certificate, "-pubkey", "-noout"], f"{certificate} is no certificate in PEM")
    if whose.split() != found.split():
        raise BadInputError(f"{certificate} is not the certificate of {key}: give the two that belong together")
    encoded = _openssl(["x509", "-in", certificate, "-outform", "DER"], f"{certificate} is no certificate in PEM")
    return Signer(key, certificate, hashlib.sha256(encoded).hexdigest())


def _openssl(words: Sequence[str | Path], problem: str) -> bytes:
    done = _run(["openssl", *words])
    if done.returncode:
        raise BadInputError(f"{problem}: {_last(done.stderr)}; give a PEM file, see docs/deploying_the_kernel.md")
    return done.stdout


def _run(argv: Sequence[str | Path]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError:
        name = str(argv[0])
        raise SriovError(f"cannot run {name} on the build host: apt install {PACKAGES[name]}") from None


def _last(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else "no output"


@contextmanager
def lent(signer: Signer | None, objects: Path) -> Iterator[None]:
    """Have key and certificate where kbuild looks for them, for this long.

    The certificate that an earlier build has taken from another key is removed: make would go by its time.
    """
    if not signer:
        yield
        return
    link = objects / OPERATORS
    for path in (link, link.with_name("signing_key.x509")):
        path.unlink(missing_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    with open(os.memfd_create("key"), "wb") as memory:
        memory.write(signer.key.read_bytes() + b"\n" + signer.certificate.read_bytes())
        memory.flush()
        link.symlink_to(f"/proc/{os.getpid()}/fd/{memory.fileno()}")
        try:
            yield
        finally:
            link.unlink(missing_ok=True)


def sign_package(package: Path, signer: Signer) -> None:
    """Sign the kernel image in a package, and pack it again.

    Raises SriovError with what sbsign or dpkg-deb answered.
    """
    with tempfile.TemporaryDirectory(dir=package.parent, prefix="sign-") as folder:
        tree, partial = Path(folder, "tree"), Path(folder, package.name)
        _must(["dpkg-deb", "--raw-extract", package, tree], package)
        images = [path for path in (tree / "boot").glob("vmlinu*") if path.is_file()]
        if len(images) != 1:
            raise SriovError(f"{package} has {len(images)} kernel images below /boot, one is signed")
        _sign(images[0], signer, package)
        _count(tree, images[0])
        _must(["dpkg-deb", "--root-owner-group", "-Zzstd", "--build", tree, partial], package)
        os.replace(partial, package)


def _sign(image: Path, signer: Signer, package: Path) -> None:
    made = image.with_name("signed")
    _must(["sbsign", "--key", signer.key, "--cert", signer.certificate, "--output", made, image], package)
    _must(["sbverify", "--cert", signer.certificate, made], package)
    made.chmod(stat.S_IMODE(image.stat().st_mode))
    os.replace(made, image)


def _must(argv: Sequence[str | Path], package: Path) -> None:
    done = _run(argv)
    if done.returncode:
        raise SriovError(f"cannot sign {package.name}: '{argv[0]}' answered: {_last(done.stderr or done.stdout)}")


def _count(tree: Path, image: Path) -> None:
    """Give the package's checksums the one of the signed image."""
    sums = tree / "DEBIAN/md5sums"
    if not sums.exists():
        return
    name = str(image.relative_to(tree))
    digest = hashlib.md5(image.read_bytes(), usedforsecurity=False).hexdigest()
    lines = [line for line in sums.read_text(encoding="utf-8").splitlines() if line[34:] != name]
    sums.write_text("\n".join([*lines, f"{digest}  {name}"]) + "\n", encoding="utf-8")
