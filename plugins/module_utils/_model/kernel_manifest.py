# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a built kernel, as role kernel_build writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .errors import BadInputError

SCHEMA = 2
"""Schema of the manifest.

2 has the architecture, the suite, the build and the formats of handover.
"""
KNOWN = (1, 2)
KEY_DIGITS = 12
"""Digits of the key in package versions and ``uname -v``."""
MAX_CHARACTERS = 1 << 20
MAX_PACKAGES = 8
HEX = re.compile(r"[0-9a-f]{64}")
FIELDS = {
    "key": re.compile(r"[0-9a-f]{12,64}"),
    "release": re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,127}"),
    "architecture": re.compile(r"[a-z0-9-]{0,32}"),
    "distribution": re.compile(r"[a-z0-9._-]{0,64}"),
    "suite": re.compile(r"[a-z0-9._-]{0,64}"),
}
PACKAGE = {
    "name": re.compile(r"[a-z0-9][a-z0-9.+-]{1,200}"),
    "version": re.compile(r"[0-9][0-9A-Za-z.+~-]{0,200}"),
    "file": re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,250}\.deb"),
    "sha256": HEX,
}
IMAGE = {"file": re.compile(r"(?!.*/\.\.?/)/[0-9A-Za-z][0-9A-Za-z.+~_/-]{1,250}"), "sha256": HEX}
BUILD = re.compile(r"#[ -~]{1,200}")
FORMAT = re.compile(r"[\w.,-]{1,64}", re.ASCII)
OLD: Mapping[str, Any] = {"architecture": "", "distribution": "", "suite": "", "build": None, "handover": []}
"""Fields that a manifest of schema 1 does not have: not known."""
AGAIN = "build the kernel again, with role kvmfleet.sriov.kernel_build"


def read(text: str, path: str) -> dict[str, Any]:
    """Read and check a manifest.

    Fields of newer schemas that an older one lacks are as in `OLD`.
    Raises BadInputError naming file and field, with what to do.
    """
    try:
        manifest = json.loads(text) if len(text) <= MAX_CHARACTERS else None
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict):
        raise BadInputError(f"{path} is not a manifest of role kernel_build: it has no JSON object; {AGAIN}")
    schema = manifest.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int) or schema not in KNOWN:
        raise BadInputError(
            f"{path} has schema {_shown(schema)} of the kernel's manifest, this collection knows"
            f" {' and '.join(map(str, KNOWN))}: ansible-galaxy collection install --upgrade kvmfleet.sriov, or {AGAIN}"
        )
    found = {**OLD, **manifest}
    _match(found, FIELDS, path, "")
    _match(found.get("image"), IMAGE, path, "image.")
    packages = found.get("packages")
    if not isinstance(packages, list) or not 0 < len(packages) <= MAX_PACKAGES:
        raise BadInputError(f"{path} has no list of packages; {AGAIN}")
    for number, package in enumerate(packages):
        _match(package, PACKAGE, path, f"packages[{number}].")
    _check_rest(found, path)
    return found


def _check_rest(found: Mapping[str, Any], path: str) -> None:
    build, formats = found["build"], found["handover"]
    if build is not None and not (isinstance(build, str) and BUILD.fullmatch(build)):
        raise _wrong(path, "build", build)
    if not isinstance(formats, list) or not all(isinstance(one, str) and FORMAT.fullmatch(one) for one in formats):
        raise _wrong(path, "handover", formats)


def _match(value: object, patterns: Mapping[str, re.Pattern[str]], path: str, where: str) -> None:
    if not isinstance(value, dict):
        raise _wrong(path, where.rstrip("."), value)
    for name, pattern in patterns.items():
        field = value.get(name)
        if not isinstance(field, str) or not pattern.fullmatch(field):
            raise _wrong(path, f"{where}{name}", field)


def _wrong(path: str, field: str, value: object) -> BadInputError:
    return BadInputError(f"{path}: '{field}' cannot be {_shown(value)}; {AGAIN}")


def _shown(value: object) -> str:
    """A value for messages.

    Lists and mappings may be deep, so only their type.
    """
    return ascii(value)[:100] if isinstance(value, (str, int, float, type(None))) else f"a {type(value).__name__}"


def is_build(version: str, manifest: Mapping[str, Any]) -> bool:
    """Whether a kernel's version text (uname -v) is that of this build.

    A manifest without the whole text is compared by its key.
    """
    build = manifest.get("build")
    key = str(manifest["key"])[:KEY_DIGITS]
    return version == build if build else re.match(rf"#\d+\+{key}(\s|$)", version) is not None
