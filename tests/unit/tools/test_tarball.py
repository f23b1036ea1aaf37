# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same files give the same tarball."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tools import tarball

CONTENTS = {"roles/a/b.yml": b"b", "README.md": b"read", "plugins/run": b"#!/bin/sh"}
FOLDERS = ["roles", "roles/a", "plugins"]


def built(path: Path, names: Sequence[str], time: int, mode: int, owner: str) -> Path:
    """A tarball as `ansible-galaxy` makes it, of files in some order."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
    listed = [{"name": name, "chksum_sha256": sums.get(name)} for name in names]
    files = json.dumps({"files": listed, "format": 1}, indent=True).encode()
    about = {"collection_info": {"name": "sriov"}, "file_manifest_file": {"chksum_sha256": "x"}, "format": 1}
    contents = {"MANIFEST.json": json.dumps(about).encode(), "FILES.json": files, **CONTENTS}
    with tarfile.open(path, "w:gz") as tar:
        for name in ["MANIFEST.json", "FILES.json", *names]:
            member = tarfile.TarInfo(name)
            member.mtime, member.mode, member.uname, member.uid = time, mode, owner, 1000
            if name in FOLDERS:
                member.type = tarfile.DIRTYPE
            member.mode |= 0o100 if name == "plugins/run" else 0
            member.size = len(contents.get(name, b""))
            tar.addfile(member, io.BytesIO(contents.get(name, b"")))
    return path


def test_order_times_owners_and_modes_do_not_matter(tmp_path: Path) -> None:
    names = [*FOLDERS, *CONTENTS]
    one = built(tmp_path / "one.tar.gz", names, 1, 0o600, "me")
    other = built(tmp_path / "other.tar.gz", names[::-1], 1_700_000_000, 0o664, "root")
    assert one.read_bytes() != other.read_bytes()
    for path in (one, other):
        tarball.rewrite(path)
    assert one.read_bytes() == other.read_bytes()
    assert list(tmp_path.glob("*.new")) == []


def test_it_has_the_same_files_and_their_checksum(tmp_path: Path) -> None:
    path = built(tmp_path / "one.tar.gz", [*FOLDERS, *CONTENTS], 1, 0o600, "me")
    tarball.rewrite(path)
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        opened = {one.name: tar.extractfile(one) for one in members if one.isreg()}
        contents = {name: file.read() for name, file in opened.items() if file}
    assert [one.name for one in members] == ["MANIFEST.json", "FILES.json", *sorted([*FOLDERS, *CONTENTS])]
    assert {name: contents[name] for name in CONTENTS} == CONTENTS
    manifest, files = json.loads(contents["MANIFEST.json"]), contents["FILES.json"]
    assert manifest["file_manifest_file"]["chksum_sha256"] == hashlib.sha256(files).hexdigest()
    assert manifest["collection_info"] == {"name": "sriov"}
    assert sorted(one["name"] for one in json.loads(files)["files"]) == sorted([*FOLDERS, *CONTENTS])
    modes = {one.name: (one.mode, one.mtime, one.uid, one.uname) for one in members}
    assert modes["README.md"] == (0o644, tarball.TIME, 0, "root")
    assert modes["plugins/run"][0] == modes["roles"][0] == 0o755
