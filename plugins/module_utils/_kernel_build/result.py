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
from pathlib import Path
from typing import Any

from .._model.errors import SriovError
from .source import file_sha256

Manifest = dict[str, Any]


def cached(result: Path) -> Manifest | None:
    """The manifest of a result; None unless all packages have its checksums."""
    try:
        manifest: Manifest = json.loads((result / "manifest.json").read_text(encoding="utf-8"))
        whole = all(file_sha256(result / entry["file"]) == entry["sha256"] for entry in manifest["packages"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return manifest if whole else None


def image_of(package: Path) -> dict[str, str]:
    """Path and checksum of the kernel image in a package: ``{"file", "sha256"}``."""
    argv = ["dpkg-deb", "--fsys-tarfile", str(package)]
    unpacker = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    with unpacker, tarfile.open(fileobj=unpacker.stdout, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.startswith("./boot/vmlinu") else None
            if content:
                unpacker.kill()
                return {"file": member.name[1:], "sha256": hashlib.sha256(content.read()).hexdigest()}
    raise SriovError(f"{package} has no kernel image below /boot")


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
