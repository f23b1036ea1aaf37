# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel sources and configurations on a build host, and private work trees."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._model.errors import BadInputError, SriovError
from .._model.values import shown
from . import distributions

MOST_CONFIG_BYTES = 16 << 20
"""Bytes of a configuration; whole ones of distributions have 0.3 million."""


@dataclass(frozen=True)
class Source:
    """A source archive or tree.

    ``sha256`` is over the archive, or over the names and contents of a tree's files. ``epoch``: the time of a tree, in
    seconds since 1970; None for an archive, which has it inside.
    """

    name: str
    path: Path
    sha256: str
    epoch: int | None = None


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def identify(path: Path) -> Source:
    """Name and checksum of a kernel source.

    That is a tar archive (any compression that tar knows) or a tree.
    """
    if path.is_dir():
        if not (path / "Kconfig").is_file():
            raise BadInputError(f"{path} is not a kernel source tree: it has no Kconfig")
        return Source(path.name, path, _tree_sha256(path), _epoch(path))
    if not path.is_file():
        raise BadInputError(
            f"kernel source {path} does not exist: give an archive or a tree, or install its package{_other(path)}"
        )
    return Source(re.sub(r"\.tar(\.\w+)?$", "", path.name), path, file_sha256(path))


def _other(path: Path) -> str:
    """Archives of that name in another compression, in words.

    And what to do on another distribution.
    """
    stem = re.sub(r"\.tar(\.\w+)?$", "", path.name)
    found = sorted({*path.parent.glob(f"{stem}.tar.*"), *path.parent.glob(f"{stem}/{stem}.tar.*")})
    there = f" (there is {', '.join(map(str, found))})" if found else ""
    return there + distributions.advice(os.uname().release, distributions.os_release())


def _epoch(tree: Path) -> int:
    """Time of a tree's commit, without git of its Makefile.

    A fresh checkout has other times of files, and is the same source.
    """
    argv = ["git", "-C", str(tree), "log", "-1", "--format=%ct"]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        done = None
    text = done.stdout.decode().strip() if done and done.returncode == 0 and (tree / ".git").exists() else ""
    return int(text) if re.fullmatch(r"\d{1,12}", text) else int((tree / "Makefile").stat().st_mtime)


def _tree_sha256(tree: Path) -> str:
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(tree):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(files):
            path = Path(folder, name)
            content = os.readlink(path) if path.is_symlink() else file_sha256(path)
            digest.update(f"{path.relative_to(tree)}\0{content}\n".encode())
    return digest.hexdigest()


def unpack(source: Source, base: Path) -> Path:
    """Unpack or copy ``source`` below ``base`` unless it is there.

    Returns the path. ``base/source.json`` is written last, so a tree without it was interrupted and is made anew. The
    object trees go with it: files of an archive are older than objects that were made of their patched texts.
    """
    known = _recorded(base)
    if known and known["sha256"] == source.sha256 and (base / known["tree"]).is_dir():
        return base / str(known["tree"])
    partial = base / "unpack.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    made = _copy_tree(source, partial) if source.path.is_dir() else _untar(source, partial)
    tree = base / made.name
    shutil.rmtree(tree, ignore_errors=True)
    for old in (base / "applied", *base.glob("obj*")):
        shutil.rmtree(old, ignore_errors=True)
    made.rename(tree)
    partial.rmdir()
    epoch = int((tree / "Makefile").stat().st_mtime) if source.epoch is None else source.epoch
    text = json.dumps({"sha256": source.sha256, "tree": tree.name, "epoch": epoch})
    (base / "source.json").write_text(text + "\n", encoding="utf-8")
    return tree


def _recorded(base: Path) -> dict[str, Any] | None:
    """The record of what was unpacked below ``base``.

    None without one, and for a file that is none.
    """
    try:
        known = json.loads((base / "source.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    if not isinstance(known, dict) or not isinstance(known.get("epoch", 0), int):
        return None
    texts = known.get("tree"), known.get("sha256")
    is_name = all(isinstance(text, str) and re.fullmatch(r"[^/\0]+", text) for text in texts)
    return known if is_name and texts[0] not in (".", "..") else None


def epoch_of(source: Source, base: Path, tree: Path) -> int:
    """Time of an unpacked source, before any patch touched its Makefile."""
    if source.epoch is not None:
        return source.epoch
    known = _recorded(base) or {}
    return int(known.get("epoch", (tree / "Makefile").stat().st_mtime))


def _copy_tree(source: Source, into: Path) -> Path:
    target = into / source.name
    shutil.copytree(source.path, target, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    return target


def _untar(source: Source, into: Path) -> Path:
    run = subprocess.run(
        ["tar", "--extract", "--force-local", "--file", str(source.path), "--directory", str(into)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if run.returncode:
        raise SriovError(f"cannot unpack {source.path}: {run.stderr.decode('utf-8', 'replace').strip()}")
    found = [path for path in into.iterdir() if path.is_dir()]
    if len(found) != 1 or not (found[0] / "Kconfig").is_file():
        raise BadInputError(f"{source.path} is not a kernel source archive: no single folder with a Kconfig in it")
    return found[0]


def tree_version(tree: Path) -> str:
    """Version in a tree's top Makefile, for example ``6.12.117``."""
    text = (tree / "Makefile").read_text(encoding="utf-8", errors="replace")
    pattern = r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)"
    fields: dict[str, str] = dict(re.findall(pattern, text, re.MULTILINE))
    numbers = ".".join(fields.get(key, "0") for key in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))
    version = numbers + fields.get("EXTRAVERSION", "")
    if not re.fullmatch(r"\d{1,5}(\.\d{1,5}){2}[\w.+~-]{0,40}", version, re.ASCII):
        raise BadInputError(f"{tree}/Makefile has no kernel's version: {shown(version)}; give a kernel's source")
    return version


def config_path(wanted: str, source_name: str, root: Path = Path("/")) -> Path:
    """Find a kernel configuration.

    ``wanted`` is ``running``, ``distribution`` or a path. ``running`` is the build host's own kernel
    (/boot/config-RELEASE, else /proc/config.gz). ``distribution`` is the file that Debian's package linux-config-X.Y
    holds for this architecture's ordinary kernel, below /usr/src.
    """
    if wanted == "running":
        places = [root / f"boot/config-{os.uname().release}", root / "proc/config.gz"]
    elif wanted == "distribution":
        folder = root / "usr/src" / source_name.replace("linux-source", "linux-config")
        arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        places = [folder / f"config.{arch}_none_{arch}.xz", folder / f"config.{arch}_none_{arch}"]
    else:
        places = [Path(wanted)]
    for place in places:
        if place.is_file():
            return place
    more = distributions.advice(os.uname().release, distributions.os_release(root)) if wanted == "distribution" else ""
    raise BadInputError(f"kernel configuration '{wanted}' is not there: looked for {', '.join(map(str, places))}{more}")


def read_config(path: Path) -> str:
    """The text of a configuration, plain or compressed with gzip or xz."""
    try:
        content = path.read_bytes()[:MOST_CONFIG_BYTES]
        if content.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(MOST_CONFIG_BYTES)
        elif content.startswith(b"\xfd7zXZ\0"):
            with lzma.open(io.BytesIO(content)) as unpacked:
                content = unpacked.read(MOST_CONFIG_BYTES)
        if b"\0" in content or len(content) == MOST_CONFIG_BYTES:
            raise ValueError("it is too long, or no text")
        return content.decode("utf-8")
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BadInputError(
            f"kernel configuration {path} cannot be read: {reason}; give a whole one, as 'make olddefconfig' leaves it "
            "in .config"
        ) from error
