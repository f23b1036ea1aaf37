# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of kernel builds: packages, and a manifest of contents and inputs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._model import kernel_manifest
from .._model.errors import BadInputError, SriovError
from .._model.kernel_manifest import KEY_DIGITS, SCHEMA
from .._readers.kernel_image import HEAD_BYTES, image_build
from .distributions import os_release
from .inputs import Inputs
from .source import file_sha256

Manifest = dict[str, Any]


def cached(result: Path) -> Manifest | None:
    """The manifest of a result; None unless all packages have its checksums.

    None as well for what is no manifest: the result is made again then.
    """
    path = result / "manifest.json"
    try:
        manifest = kernel_manifest.read(path.read_text(encoding="utf-8"), str(path))
        whole = all(file_sha256(result / entry["file"]) == entry["sha256"] for entry in manifest["packages"])
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, UnicodeDecodeError, BadInputError):
        return None
    return manifest if whole else None


@dataclass(frozen=True)
class Made:
    """Facts of a finished build.

    ``version``: of the source; ``handover``: formats of memory that it hands over; ``notes``: about its configuration.
    """

    version: str
    release: str
    package_version: str
    handover: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def keep(inputs: Inputs, made: Made, base: Path, result: Path) -> Manifest:
    """Move packages and manifest to the result folder in one rename."""
    partial = result.with_name(result.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    names = [f"linux-image-{made.release}", *([f"linux-headers-{made.release}"] if inputs.headers else [])]
    packages = [_move(base, name, made.package_version, partial) for name in names]
    for rest in base.glob(f"*_{made.package_version}_*"):
        rest.unlink()
    manifest = _manifest(inputs, made, packages, partial / packages[0]["file"])
    (partial / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(result, ignore_errors=True)
    partial.rename(result)
    return manifest


def package_of(base: Path, name: str, version: str) -> Path:
    """The package that a build has made; raises SriovError without one."""
    found = sorted(base.glob(f"{name}_{version}_*.deb"))
    if not found:
        raise SriovError(f"the build made no package {name} {version} in {base} (see {base / 'build.log'})")
    return found[0]


def _move(base: Path, name: str, version: str, target: Path) -> dict[str, Any]:
    found = package_of(base, name, version)
    file = Path(shutil.move(str(found), str(target / found.name)))
    entry = {"name": name, "version": version, "file": file.name}
    return {**entry, "sha256": file_sha256(file), "size": file.stat().st_size}


def _manifest(inputs: Inputs, made: Made, packages: list[dict[str, Any]], package: Path) -> Manifest:
    image, build = image_of(package)
    system = os_release()
    if build is not None and not build.startswith(f"#1+{inputs.key[:KEY_DIGITS]} "):
        raise SriovError(
            f"the kernel in {package} is '{build}' (uname -v), which does not begin with its key {inputs.key}"
        )
    return {
        "schema": SCHEMA,
        "key": inputs.key,
        "release": made.release,
        "build": build,
        "architecture": _field(package, "Architecture"),
        "distribution": system.get("ID", ""),
        "suite": system.get("VERSION_CODENAME", ""),
        "handover": list(made.handover),
        "localversion": inputs.localversion,
        "source": {"name": inputs.source.name, "sha256": inputs.source.sha256, "version": made.version},
        "config": {"sha256": inputs.config_sha256},
        "certificate_sha256": inputs.signer.sha256 if inputs.signer else "",
        "series": inputs.series_name,
        "patches": [{"name": patch.name, "sha256": patch.sha256} for patch in inputs.patches],
        "image": image,
        "packages": packages,
        "compiler": inputs.tools.versions["compiler"],
        "tools": dict(inputs.tools.versions),
        "variables": {**inputs.tools.settings, **inputs.tools.programs},
        "notes": list(made.notes),
        "built_at": int(time.time()),
    }


def _field(package: Path, name: str) -> str:
    argv = ["dpkg-deb", "--field", str(package), name]
    run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if run.returncode:
        answer = run.stderr.decode("utf-8", "replace").strip()
        raise SriovError(f"cannot read field {name} of {package}: {answer}; build it again")
    return run.stdout.decode("utf-8", "replace").strip()


def image_of(package: Path) -> tuple[dict[str, str], str | None]:
    """Kernel image in a package, and its version text (uname -v).

    ``{"file", "sha256"}``; None for the text of an image that does not show it.
    """
    try:
        found = _image_of(package)
    except tarfile.TarError as error:
        raise SriovError(f"{package} is cut off or no package ({error}): build it again") from error
    if found is None:
        raise SriovError(f"{package} has no kernel image below /boot")
    return found


def _image_of(package: Path) -> tuple[dict[str, str], str | None] | None:
    argv = ["dpkg-deb", "--fsys-tarfile", str(package)]
    unpacker = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with unpacker, tarfile.open(fileobj=unpacker.stdout, mode="r|") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.startswith("./boot/vmlinu") else None
            if file:
                content = file.read()
                unpacker.kill()
                found = {"file": member.name[1:], "sha256": hashlib.sha256(content).hexdigest()}
                return found, image_build(content[:HEAD_BYTES])
    return None


def deliver(result: Path, output: Path, manifest: Manifest) -> bool:
    """Copy a result to ``output``; True when something there had to change.

    Other files there stay; another run may deliver there at the same time.
    """
    changed = False
    output.mkdir(parents=True, exist_ok=True)
    for name in [*(entry["file"] for entry in manifest["packages"]), "manifest.json"]:
        source, target = result / name, output / name
        if target.exists() and file_sha256(target) == file_sha256(source):
            continue
        handle, partial = tempfile.mkstemp(dir=output, prefix=f"{name}.", suffix=".partial")
        os.close(handle)
        shutil.copyfile(source, partial)
        os.chmod(partial, 0o644)
        os.replace(partial, target)
        changed = True
    return changed
