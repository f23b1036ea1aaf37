# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel packages of a source, patch series and configuration, kept by content.

The cache folder holds ``results/KEY/`` (packages and ``manifest.json``) and ``ID/`` for each source, ID being the first
12 hex digits of its checksum: the work tree, ``applied/`` (see `patch_series`), ``obj/`` for each configuration,
``lock`` and ``build.log``. All variants of one source and configuration share an object tree, so a second one rebuilds
only what differs.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._model.errors import BadInputError, SriovError
from .make import Make, environment, object_folder
from .patch_series import Patch, read_series, switch
from .result import Manifest, cached, deliver, image_of
from .source import Source, config_path, file_sha256, identify, read_config, tree_version, unpack

RECIPE = 2
"""Version of the build's recipe, a part of every key.

Raise it when another recipe changes the packages.
"""


@dataclass(frozen=True)
class Request:
    """Inputs and places of a build, as requested.

    ``series`` None means the source as it is; ``configs`` are merged in order, the last one wins.
    """

    source: Path
    series: Path | None
    configs: tuple[str, ...]
    localversion: str
    cache: Path
    jobs: int
    headers: bool = False
    output: Path | None = None


@dataclass(frozen=True)
class Inputs:
    """A request with its files read; the parts of the key."""

    source: Source
    series_name: str
    patches: tuple[Patch, ...]
    config: str
    localversion: str
    headers: bool
    compiler: str

    @property
    def config_sha256(self) -> str:
        """Checksum of the merged configuration, before olddefconfig completes it."""
        return hashlib.sha256(self.config.encode()).hexdigest()

    @property
    def key(self) -> str:
        """Checksum of all inputs that decide the packages' contents."""
        parts = [
            RECIPE,
            self.source.sha256,
            [[patch.name, patch.sha256] for patch in self.patches],
            self.config_sha256,
            self.localversion,
            self.headers,
            os.uname().machine,
            self.compiler,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Places:
    """Folders of a build: its work and its result."""

    base: Path
    result: Path

    @property
    def log(self) -> Path:
        """Path of make's output."""
        return self.base / "build.log"


def read_inputs(request: Request) -> Inputs:
    """Read and check all inputs of a request; nothing is written."""
    if not re.fullmatch(r"[-+.~a-z0-9]*", request.localversion):
        raise BadInputError(
            f"localversion '{request.localversion}' cannot be part of a package name: use a-z, 0-9 and -+.~ only"
        )
    source = identify(request.source)
    patches = read_series(request.series) if request.series else ()
    texts = [read_config(config_path(config, source.name)) for config in request.configs]
    name = request.series.name if request.series else ""
    compiler = _output(["gcc", "--version"]).splitlines()[0]
    return Inputs(source, name, patches, "\n".join(texts), request.localversion, request.headers, compiler)


def places(cache: Path, inputs: Inputs) -> Places:
    """The folders of a build below the cache."""
    return Places(cache / inputs.source.sha256[:12], cache / "results" / inputs.key)


def request_from(params: dict[str, Any]) -> Request:
    """A request from the arguments of the module kernel_build."""
    return Request(
        source=Path(params["source"]),
        series=Path(params["series"]) if params["series"] else None,
        configs=tuple(os.path.expanduser(config) for config in params["config"]),
        localversion=params["localversion"],
        cache=Path(params["cache"]),
        jobs=params["jobs"] or len(os.sched_getaffinity(0)),
        headers=params["headers"],
        output=Path(params["output"]) if params["output"] else None,
    )


def perform(request: Request, check: bool) -> dict[str, Any]:
    """Build and deliver; returns the module's result.

    With ``check`` nothing is written, and the manifest may be empty.
    """
    started = time.monotonic()
    inputs = read_inputs(request)
    where = places(request.cache, inputs)
    if check:
        manifest = cached(where.result)
        built = manifest is None
        changed = built or bool(request.output and cached(request.output) != manifest)
    else:
        manifest, built = build(inputs, where, request.jobs)
        changed = bool(request.output and deliver(where.result, request.output, manifest)) or built
    return {
        "changed": changed,
        "built": built,
        "manifest": manifest or {},
        "folder": str(request.output or where.result),
        "log": str(where.log),
        "seconds": round(time.monotonic() - started, 1),
    }


def build(inputs: Inputs, where: Places, jobs: int) -> tuple[Manifest, bool]:
    """Build the packages unless they are cached, one build per source.

    Returns their manifest, and whether they had to be built.
    """
    found = cached(where.result)
    if found:
        return found, False
    with _locked(where.base / "lock") as lock:
        found = cached(where.result)
        if found:
            return found, False
        return _build(inputs, where, jobs, lock), True


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold the lock.

    Children inherit it: when this process is killed, the lock lives as long as its make does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream.fileno()


def _build(inputs: Inputs, where: Places, jobs: int, lock: int) -> Manifest:
    tree = unpack(inputs.source, where.base)
    version = tree_version(tree)
    label = f"series {inputs.series_name} does not apply to {inputs.source.name} {version}"
    switch(tree, where.base / "applied", inputs.patches, label)
    objects = object_folder(where.base, inputs.config_sha256)
    (objects / ".config").write_text(inputs.config, encoding="utf-8")
    package_version = f"{version}-1+{inputs.key[:12]}"
    make = Make(tree, objects, where.log, lock, environment(package_version, tree, inputs.headers))
    make.run([f"LOCALVERSION={inputs.localversion}", "olddefconfig"])
    make.run([f"-j{jobs}", f"LOCALVERSION={inputs.localversion}", "bindeb-pkg"])
    release = (objects / "include/config/kernel.release").read_text(encoding="utf-8").strip()
    return _keep(inputs, where, version, release, package_version)


def _keep(inputs: Inputs, where: Places, version: str, release: str, package_version: str) -> Manifest:
    """Move packages and manifest to the result folder in one rename."""
    partial = where.result.with_name(where.result.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    wanted = [f"linux-image-{release}", *([f"linux-headers-{release}"] if inputs.headers else [])]
    packages: list[dict[str, Any]] = []
    for name in wanted:
        found = sorted(where.base.glob(f"{name}_{package_version}_*.deb"))
        if not found:
            raise SriovError(f"the build made no package {name} {package_version} in {where.base} (see {where.log})")
        file = Path(shutil.move(str(found[0]), str(partial / found[0].name)))
        entry = {"name": name, "version": package_version, "file": file.name}
        packages.append({**entry, "sha256": file_sha256(file), "size": file.stat().st_size})
    for rest in where.base.glob(f"*_{package_version}_*"):
        rest.unlink()
    manifest = {
        "schema": 1,
        "key": inputs.key,
        "release": release,
        "localversion": inputs.localversion,
        "source": {"name": inputs.source.name, "sha256": inputs.source.sha256, "version": version},
        "config": {"sha256": inputs.config_sha256},
        "series": inputs.series_name,
        "patches": [{"name": patch.name, "sha256": patch.sha256} for patch in inputs.patches],
        "image": image_of(partial / packages[0]["file"]),
        "packages": packages,
        "compiler": inputs.compiler,
        "built_at": int(time.time()),
    }
    (partial / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(where.result, ignore_errors=True)
    partial.rename(where.result)
    return manifest


def _output(argv: list[str]) -> str:
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout.decode()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise SriovError(f"cannot run '{' '.join(argv)}' on the build host: {error}") from error
