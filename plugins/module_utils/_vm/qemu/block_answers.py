# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's answers about its disks. Pure.

They are data: one of another type is an error of this VM alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..._model.errors import SriovError
from . import image_names
from .image_names import Tree

LONGEST = 1000
"""Images of one chain; QEMU's own limit is 200 (block.c)."""


def images(nodes: object) -> tuple[str, ...]:
    """Names of all images that QEMU has open, sorted.

    ``nodes``: the answer to query-named-block-nodes.
    """
    return tuple(sorted({image_names.of(text(node, "file"), {}) for node in objects(nodes)} - {""}))


def chain(inserted: object) -> list[tuple[str, str]]:
    """(image, its backing image by its header) from top down.

    A filter shows the image below it, which counts once.
    """
    image = _object(inserted).get("image")
    found: list[tuple[str, str]] = []
    while image is not None:
        image = _object(image)
        name = image_names.of(text(image, "filename"), {})
        backing = text(image, "full-backing-filename") or text(image, "backing-filename")
        header = image_names.of(backing, {})
        if found and found[-1][0] == name:
            found.pop()
        found.append((name, header))
        image = image.get("backing-image")
        if len(found) > LONGEST:
            raise SriovError("QEMU shows a chain of images without an end")
    return found


def objects(answer: object) -> list[Tree]:
    if not isinstance(answer, list):
        raise SriovError(f"QEMU answers about its disks with {shown(answer)}, no list")
    return [_object(one) for one in answer]


def _object(value: object) -> Tree:
    if not isinstance(value, Mapping):
        raise SriovError(f"QEMU describes a disk as {shown(value)}, no object")
    return value


def text(value: Tree, key: str) -> str:
    found = value.get(key, "")
    if not isinstance(found, str):
        raise SriovError(f"QEMU describes a disk with {key} {shown(found)}, no text")
    return found


def shown(value: object) -> str:
    return repr(value)[:100]
