# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rewrite a collection's tarball: the same files, the same bytes.

`ansible-galaxy collection build` takes the order of files from the file system, their times and modes from the
checkout, and the time of the build. Here members are in the order of their names, with the time `TIME`, root as their
owner, and modes of files and programs; `FILES.json` is in that order, too, and `MANIFEST.json` has its checksum.
What compresses the bytes is this Python's zlib: another one may give others, for the same `tar`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

TIME = 315532800
"""The time of each member: 1980, the first of all archives' formats."""
MANIFEST, FILES = "MANIFEST.json", "FILES.json"


def rewrite(path: Path) -> None:
    """Replace the tarball by one with the same files."""
    with tarfile.open(path) as tar:
        members = [(member, _content(tar, member)) for member in tar.getmembers()]
    contents = {member.name: content for member, content in members}
    contents[FILES] = _in_order(contents[FILES])
    contents[MANIFEST] = _with_checksum(contents[MANIFEST], contents[FILES])
    first = {MANIFEST: 0, FILES: 1}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, _content_before in sorted(members, key=lambda one: (first.get(one[0].name, 2), one[0].name)):
            _add(tar, member, contents[member.name])
    beside = path.with_name(f"{path.name}.new")
    with beside.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=TIME) as zipped:
        zipped.write(packed.getvalue())
    beside.replace(path)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if member.isreg() else None
    return file.read() if file else b""


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, content: bytes) -> None:
    new = tarfile.TarInfo(member.name)
    new.type, new.linkname, new.mtime, new.uname, new.gname = member.type, member.linkname, TIME, "root", "root"
    new.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    new.size = len(content)
    tar.addfile(new, io.BytesIO(content))


def _in_order(files: bytes) -> bytes:
    known = json.loads(files)
    known["files"].sort(key=lambda one: str(one["name"]))
    return _json(known)


def _with_checksum(manifest: bytes, files: bytes) -> bytes:
    known = json.loads(manifest)
    known["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(files).hexdigest()
    return _json(known)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode()


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]))
