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
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._model.kernel_manifest import KEY_DIGITS
from . import configuration, distributions, handover, kconfig, signing
from .inputs import Inputs, Request, read_inputs
from .make import Make, environment, object_folder
from .patch_series import switch
from .result import Made, Manifest, cached, deliver, keep, package_of
from .source import epoch_of, tree_version, unpack


@dataclass(frozen=True)
class Places:
    """Folders of a build: its work and its result."""

    base: Path
    result: Path

    @property
    def log(self) -> Path:
        """Path of make's output."""
        return self.base / "build.log"


def places(cache: Path, inputs: Inputs) -> Places:
    """The folders of a build below the cache."""
    return Places(cache / inputs.source.sha256[:12], cache / "results" / inputs.key)


def perform(request: Request, check: bool) -> dict[str, Any]:
    """Build and deliver; returns the module's result.

    With ``check`` nothing is written, and the manifest may be empty: whether the series applies and the configuration
    holds only a build shows.
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
        "notes": list((manifest or {}).get("notes", [])),
        "folder": os.path.abspath(request.output or where.result),
        "log": os.path.abspath(where.log),
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
    version, epoch = tree_version(tree), epoch_of(inputs.source, where.base, tree)
    label = f"series {inputs.series_name} does not apply to {inputs.source.name} {version}"
    switch(tree, where.base / "applied", inputs.patches, label)
    distributions.refuse_missing_certificates(kconfig.options(inputs.config), tree)
    objects = object_folder(where.base, inputs.config_sha256)
    package_version = f"{version}-1+{inputs.key[:KEY_DIGITS]}"
    env = environment(package_version, epoch, inputs.headers, inputs.tools)
    make = Make(tree, objects, where.log, lock, env)
    words = [*inputs.tools.arguments, f"LOCALVERSION={inputs.localversion}"]
    notes = configuration.finish(inputs.configs, _completion(make, words), tree, _arch(inputs))
    with signing.lent(inputs.signer, objects):
        make.run([f"-j{jobs}", *words, "bindeb-pkg"])
    release = (objects / "include/config/kernel.release").read_text(encoding="utf-8").strip()
    if inputs.signer:
        signing.sign_package(package_of(where.base, f"linux-image-{release}", package_version), inputs.signer)
    options = kconfig.options((objects / ".config").read_text(encoding="utf-8"))
    made = Made(version, release, package_version, tuple(handover.formats(tree, options)), tuple(notes))
    return keep(inputs, made, where.base, where.result)


def _completion(make: Make, words: list[str]) -> configuration.Complete:
    """Completion of a text by olddefconfig, left in the object tree."""

    def complete(text: str) -> str:
        path = make.objects / ".config"
        path.write_text(text, encoding="utf-8")
        make.run([*words, "olddefconfig"])
        return path.read_text(encoding="utf-8")

    return complete


def _arch(inputs: Inputs) -> str:
    """The folder below arch/ of the kernel's source (SRCARCH in its Makefile)."""
    name = inputs.tools.settings.get("ARCH") or os.uname().machine
    return {"x86_64": "x86", "i386": "x86", "aarch64": "arm64"}.get(name, name)
