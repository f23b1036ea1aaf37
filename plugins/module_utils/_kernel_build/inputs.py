# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs of a kernel build, and the key that they make."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._model.errors import BadInputError
from . import kconfig, signing, toolchain
from .configuration import Configuration
from .patch_series import Patch, read_series
from .source import Source, config_path, identify, read_config

RECIPE = 3
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
    sign_key: Path | None = None
    sign_certificate: Path | None = None


@dataclass(frozen=True)
class Inputs:
    """A request with its files read; the parts of the key."""

    source: Source
    series_name: str
    patches: tuple[Patch, ...]
    configs: tuple[Configuration, ...]
    localversion: str
    headers: bool
    tools: toolchain.Toolchain
    signer: signing.Signer | None = None

    @property
    def config(self) -> str:
        """The merged configuration, before olddefconfig completes it."""
        return "\n".join(config.text for config in self.configs)

    @property
    def config_sha256(self) -> str:
        """Checksum of the merged configuration."""
        return hashlib.sha256(self.config.encode()).hexdigest()

    @property
    def key(self) -> str:
        """Checksum of all inputs that decide the packages' contents.

        The time in an archive is one of its checksum; that of a tree counts by itself. Of who signs, the certificate.
        """
        parts = [
            RECIPE,
            self.source.sha256,
            self.source.epoch,
            [[patch.name, patch.sha256] for patch in self.patches],
            self.config_sha256,
            self.localversion,
            self.headers,
            os.uname().machine,
            self.tools.key,
            *(["signed", self.signer.sha256] if self.signer else []),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


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
        sign_key=Path(params["sign_key"]) if params["sign_key"] else None,
        sign_certificate=Path(params["sign_certificate"]) if params["sign_certificate"] else None,
    )


def read_inputs(request: Request) -> Inputs:
    """Read and check all inputs of a request; nothing is written."""
    if not re.fullmatch(r"[-+.~a-z0-9]*", request.localversion):
        raise BadInputError(
            f"localversion '{request.localversion}' cannot be part of a package name: use a-z, 0-9 and -+.~ only"
        )
    source = identify(request.source)
    patches = read_series(request.series) if request.series else ()
    configs = tuple(_configuration(config, source.name) for config in request.configs)
    name = request.series.name if request.series else ""
    rust = kconfig.options("\n".join(config.text for config in configs)).get("RUST") == "y"
    signer = signing.read(request.sign_key, request.sign_certificate or request.sign_key) if request.sign_key else None
    if signer:
        configs = (*configs, *_for_signing(configs))
    tools = toolchain.read(rust=rust)
    return Inputs(source, name, patches, configs, request.localversion, request.headers, tools, signer)


def _for_signing(configs: tuple[Configuration, ...]) -> Iterator[Configuration]:
    """What has modules signed, where there are any."""
    options = kconfig.options("\n".join(config.text for config in configs))
    if options.get("MODULES") != kconfig.UNSET:
        yield Configuration("kernel_build_sign_key", signing.FRAGMENT)


def _configuration(wanted: str, source_name: str) -> Configuration:
    path = config_path(wanted, source_name)
    text = read_config(path)
    whole = wanted in ("running", "distribution") or kconfig.COMPLETE in text
    return Configuration(wanted if whole and "/" not in wanted else path.name, text, whole)
