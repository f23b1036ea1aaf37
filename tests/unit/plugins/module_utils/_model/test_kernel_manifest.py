# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests of built kernels, accepted and refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import kernel_manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError

KEY = "0123456789ab" + "c" * 52
OLD: dict[str, Any] = {
    "schema": 1, "key": KEY, "release": "6.12.9-kvmfleet1",
    "image": {"file": "/boot/vmlinuz-6.12.9-kvmfleet1", "sha256": "a" * 64},
    "packages": [{"name": "linux-image-6.12.9-kvmfleet1", "version": "6.12.9-1+0123456789ab", "sha256": "b" * 64,
                  "file": "linux-image-6.12.9-kvmfleet1_6.12.9-1+0123456789ab_amd64.deb", "size": 5}],
}  # fmt: skip
NEW = {
    **OLD, "schema": 2, "architecture": "amd64", "distribution": "debian", "suite": "bookworm", "handover": ["kho-v1"],
    "build": "#1+0123456789ab SMP Sat Nov 14 12:56:01 UTC 2026",
}  # fmt: skip


@pytest.mark.parametrize("manifest", [OLD, NEW])
def test_both_schemas_are_read(manifest: dict[str, Any]) -> None:
    assert kernel_manifest.read(json.dumps(manifest), "m.json") == {**kernel_manifest.OLD, **manifest}


@pytest.mark.parametrize("schema", [None, 0, 3, "2", True, [2], 10**30])
def test_unknown_schemas_are_refused_by_name(schema: object) -> None:
    with pytest.raises(
        BadInputError, match=r"^m.json has schema .* this collection knows 1 and 2: ansible-galaxy .*upgrade"
    ):
        kernel_manifest.read(json.dumps({**NEW, "schema": schema}), "m.json")


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, " " * (1 << 20) + "{}", "1" * 5000])
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(BadInputError, match=r"^m.json is not a manifest of role kernel_build"):
        kernel_manifest.read(text, "m.json")


WRONG: dict[str, tuple[tuple[Any, ...], Any]] = {
    "key": (("key",), "../../../etc"),
    "release": (("release",), "6.12; reboot"),
    "release with a line": (("release",), "6.12\n"),
    "architecture": (("architecture",), "amd64 i386"),
    "build": (("build",), 5),
    "handover": (("handover",), "kho-v1"),
    "image.file": (("image", "file"), "/boot/../etc/passwd"),
    "image.sha256": (("image", "sha256"), "a"),
    "image": (("image",), None),
    "packages[0].name": (("packages", 0, "name"), "--admindir=/x"),
    "packages[0].file": (("packages", 0, "file"), "../linux-image.deb"),
    "packages[0].version": (("packages", 0, "version"), 1),
    "packages[0]": (("packages", 0), "linux-image"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_fields_are_named(name: str) -> None:
    (*where, last), value = WRONG[name]
    manifest: Any = copy.deepcopy(NEW)
    place = manifest
    for step in where:
        place = place[step]
    place[last] = value
    with pytest.raises(BadInputError) as caught:
        kernel_manifest.read(json.dumps(manifest), "m.json")
    assert str(caught.value).startswith(f"m.json: '{name.split(' ')[0]}' cannot be ")


def test_packages_are_required() -> None:
    wrong: tuple[object, ...] = ([], None, OLD["packages"] * 9)
    for packages in wrong:
        with pytest.raises(BadInputError, match=r"m.json has no list of packages"):
            kernel_manifest.read(json.dumps({**NEW, "packages": packages}), "m.json")


@pytest.mark.parametrize(
    ("version", "build", "same"),
    [
        (NEW["build"], NEW["build"], True),
        ("#1+0123456789ab SMP Sun Nov 15 12:56:01 UTC 2026", NEW["build"], False),
        ("#1+0123456789ab SMP x", None, True),
        ("#1+0123456789ac SMP x", None, False),
        ("#1+0123456789abc SMP x", None, False),
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.12.9-1", None, False),
    ],
)
def test_identity_is_the_build(version: str, build: str | None, same: bool) -> None:
    assert kernel_manifest.is_build(version, {"key": KEY, "build": build}) is same
